-- The engine's tables, the row plane: one row for each live job, deleted when it finishes; what has finished stands in
-- append-only history (a partition a day) or among the dead letters. Numbers of states and priorities are those of
-- include/millrace/job.h. @schema@ is replaced by the schema's name.

-- The clock of every rule. A function, so that tests can move it.
CREATE FUNCTION @schema@.clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT clock_timestamp()';

CREATE SEQUENCE @schema@.job_id AS bigint;
CREATE SEQUENCE @schema@.lease_token AS bigint;

CREATE TABLE @schema@.worker (
  incarnation bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  started_at timestamptz NOT NULL,
  last_heartbeat timestamptz NOT NULL,
  pid bigint NOT NULL,
  slots int NOT NULL,
  state smallint NOT NULL,
  superseded boolean NOT NULL DEFAULT false, -- a later life has the same id
  id text NOT NULL,
  type text NOT NULL,
  host text NOT NULL,
  timeouts jsonb NOT NULL DEFAULT '{}' -- of kinds that have one, in microseconds
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX worker_current ON @schema@.worker (id) WHERE NOT superseded;

-- Kinds that some worker has had a handler for.
CREATE TABLE @schema@.kind (name text PRIMARY KEY);

-- Queues with settings of their own, and those that were paused once. Others exist by having jobs.
CREATE TABLE @schema@.queue (
  name text COLLATE "C" PRIMARY KEY,
  capacity bigint,
  rate_limit float8,
  tokens float8 NOT NULL DEFAULT -1, -- the rate limit's bucket: see src/engine/token_bucket.h
  refilled_at timestamptz NOT NULL DEFAULT 'epoch',
  concurrency int,
  overflow smallint NOT NULL DEFAULT 0,
  spill_to smallint NOT NULL DEFAULT 4,
  paused boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50);

-- Live jobs. Claim order is (run_at, id) within a lane, which is a queue and a priority: job_ready has it, and
-- job_ready_in_partition within each partition. Scheduled and retryable jobs stand in the same indexes: they are
-- available from run_at on, without another write.
CREATE TABLE @schema@.job (
  id bigint NOT NULL,
  run_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL,
  started_at timestamptz,          -- of the latest attempt
  deadline timestamptz,            -- of the running attempt
  token bigint NOT NULL DEFAULT 0, -- of the lease; 0 while no worker holds the job. Odd: the batch has partitioned jobs
  incarnation bigint,              -- of the worker that holds or last held it
  run bigint,
  timeout bigint NOT NULL,         -- microseconds; 0: by kind or the default
  progress float8,
  attempt int NOT NULL DEFAULT 0,
  max_attempts int NOT NULL,
  crashes int NOT NULL DEFAULT 0,
  max_crashes int NOT NULL,
  priority smallint NOT NULL,
  state smallint NOT NULL,
  cancel_requested boolean NOT NULL DEFAULT false,
  queue text COLLATE "C" NOT NULL,
  kind text NOT NULL,
  partition_key text COLLATE "C",
  unique_key text COLLATE "C",
  tags text[],
  args json NOT NULL,
  error text,
  progress_message text
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.2);
CREATE UNIQUE INDEX job_by_id ON @schema@.job (id);
CREATE INDEX job_ready ON @schema@.job (queue, priority, run_at, id)
  WHERE state IN (1, 2, 4) AND partition_key IS NULL;
CREATE INDEX job_ready_in_partition ON @schema@.job (partition_key, queue, priority, run_at, id)
  WHERE state IN (1, 2, 4) AND partition_key IS NOT NULL;
CREATE INDEX job_due ON @schema@.job (run_at) WHERE state IN (1, 4);
CREATE UNIQUE INDEX job_unique ON @schema@.job (unique_key) WHERE unique_key IS NOT NULL;
CREATE INDEX job_to_cancel ON @schema@.job (incarnation) WHERE cancel_requested;
CREATE INDEX job_of_run ON @schema@.job (run, id) WHERE run IS NOT NULL;

-- One row for each claimed batch that has running jobs. Whoever changes a running job locks its lease's row first.
CREATE TABLE @schema@.lease (
  token bigint PRIMARY KEY,
  incarnation bigint NOT NULL,
  deadline timestamptz NOT NULL, -- the earliest of its running jobs, or earlier
  claim bigint NOT NULL,         -- the worker's number of the claim; see release_lost
  open int NOT NULL,             -- jobs still running
  jobs bigint[] NOT NULL         -- all of the batch
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX lease_of_worker ON @schema@.lease (incarnation);

-- Who holds a partition: the worker with `running` jobs of it.
CREATE TABLE @schema@.partition (
  key text COLLATE "C" PRIMARY KEY,
  holder bigint NOT NULL DEFAULT 0, -- incarnation; 0: free
  epoch bigint NOT NULL DEFAULT 0,  -- counts holders
  running int NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- Where each partition stands in the claim order of a lane: at its first ready job, or before it. A position moves back
-- (later) only under the exclusive advisory lock of its key, which producers share to their commit; else a job that is
-- not visible yet could be left behind it.
CREATE TABLE @schema@.partition_lane (
  queue text COLLATE "C" NOT NULL,
  priority smallint NOT NULL,
  key text COLLATE "C" NOT NULL,
  run_at timestamptz NOT NULL,
  job bigint NOT NULL,
  PRIMARY KEY (queue, priority, key)
) WITH (fillfactor = 50);
CREATE INDEX partition_lane_order ON @schema@.partition_lane (queue, priority, run_at, job);
CREATE INDEX partition_lane_due ON @schema@.partition_lane (run_at);

-- How many jobs each lane and each run has in each state (s0 to s7), finished ones as long as history keeps them: a
-- base, and changes that every transaction appends and maintenance folds in. Their sum is exact in any snapshot.
CREATE TABLE @schema@.queue_count (
  queue text COLLATE "C" NOT NULL,
  priority smallint NOT NULL,
  s0 bigint NOT NULL, s1 bigint NOT NULL, s2 bigint NOT NULL, s3 bigint NOT NULL,
  s4 bigint NOT NULL, s5 bigint NOT NULL, s6 bigint NOT NULL, s7 bigint NOT NULL,
  PRIMARY KEY (queue, priority)
);
CREATE TABLE @schema@.queue_change (
  queue text COLLATE "C" NOT NULL,
  priority smallint NOT NULL,
  s0 int NOT NULL, s1 int NOT NULL, s2 int NOT NULL, s3 int NOT NULL,
  s4 int NOT NULL, s5 int NOT NULL, s6 int NOT NULL, s7 int NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE TABLE @schema@.run_count (
  run bigint PRIMARY KEY,
  s0 bigint NOT NULL, s1 bigint NOT NULL, s2 bigint NOT NULL, s3 bigint NOT NULL,
  s4 bigint NOT NULL, s5 bigint NOT NULL, s6 bigint NOT NULL, s7 bigint NOT NULL
);
CREATE TABLE @schema@.run_change (
  run bigint NOT NULL,
  s0 int NOT NULL, s1 int NOT NULL, s2 int NOT NULL, s3 int NOT NULL,
  s4 int NOT NULL, s5 int NOT NULL, s6 int NOT NULL, s7 int NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX run_change_of_run ON @schema@.run_change (run);

-- Completed and cancelled jobs, append-only, a partition for each day of finished_at.
CREATE TABLE @schema@.job_history (
  id bigint NOT NULL,
  run_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL,
  started_at timestamptz,
  finished_at timestamptz NOT NULL,
  incarnation bigint,
  run bigint,
  timeout bigint NOT NULL,
  progress float8,
  attempt int NOT NULL,
  max_attempts int NOT NULL,
  crashes int NOT NULL,
  max_crashes int NOT NULL,
  priority smallint NOT NULL,
  state smallint NOT NULL,
  queue text COLLATE "C" NOT NULL,
  kind text NOT NULL,
  partition_key text COLLATE "C",
  unique_key text COLLATE "C",
  tags text[],
  args json NOT NULL,
  result text,
  error text,
  progress_message text
) PARTITION BY RANGE (finished_at);
CREATE INDEX job_history_by_id ON @schema@.job_history (id);
-- For what no daily partition takes; maintenance makes those ahead of time.
CREATE TABLE @schema@.job_history_other PARTITION OF @schema@.job_history DEFAULT;

-- Jobs that failed for good.
CREATE TABLE @schema@.dead_letter (
  id bigint PRIMARY KEY,
  run_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL,
  started_at timestamptz,
  finished_at timestamptz NOT NULL,
  incarnation bigint,
  run bigint,
  timeout bigint NOT NULL,
  progress float8,
  attempt int NOT NULL,
  max_attempts int NOT NULL,
  crashes int NOT NULL,
  max_crashes int NOT NULL,
  priority smallint NOT NULL,
  state smallint NOT NULL,
  queue text COLLATE "C" NOT NULL,
  kind text NOT NULL,
  partition_key text COLLATE "C",
  unique_key text COLLATE "C",
  tags text[],
  args json NOT NULL,
  result text,
  error text,
  progress_message text
);
CREATE INDEX dead_letter_by_time ON @schema@.dead_letter (finished_at);

-- Attempts that did not succeed. A success stands in its job's history.
CREATE TABLE @schema@.attempt (
  no bigint GENERATED ALWAYS AS IDENTITY,
  job bigint NOT NULL,
  incarnation bigint,
  started_at timestamptz,
  finished_at timestamptz NOT NULL,
  attempt int NOT NULL,
  outcome text NOT NULL,
  error text NOT NULL
);
CREATE INDEX attempt_of_job ON @schema@.attempt (job, no);

CREATE TABLE @schema@.run (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  generation bigint NOT NULL,
  started_at timestamptz NOT NULL,
  finished_at timestamptz,
  finals_started int NOT NULL DEFAULT 0,
  state smallint NOT NULL DEFAULT 0,
  discovery_done boolean NOT NULL DEFAULT false,
  pipeline text NOT NULL,
  identity text NOT NULL,
  spec text NOT NULL,
  finals json NOT NULL, -- an array of jobs, enqueued one after the other
  UNIQUE (identity, generation)
);
CREATE UNIQUE INDEX run_active ON @schema@.run (identity) WHERE state = 0;

-- Leadership: at most one holder per scope and epoch.
CREATE TABLE @schema@.leader (
  scope text PRIMARY KEY,
  incarnation bigint NOT NULL,
  epoch bigint NOT NULL,
  expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Workers that found nothing and want to be told of new jobs. Without one, an enqueue sends no NOTIFY, which would take
-- a lock of the whole database at commit.
CREATE TABLE @schema@.idle_worker (
  incarnation bigint PRIMARY KEY,
  priorities smallint[] NOT NULL,
  queues text[] -- NULL: all
) WITH (fillfactor = 50);

-- A row of a claim's answer. step 0: nothing to have; run_at is when something will be. 1: a claimed job. 2: a candidate, by
-- id, run_at, queue, priority and partition_key. 3: how many jobs (id) a limited queue may still give. 4: the time (run_at).
CREATE TYPE @schema@.claim_row AS (
  step smallint, id bigint, run_at timestamptz, created_at timestamptz, started_at timestamptz, token bigint, run bigint,
  timeout bigint, attempt int, max_attempts int, crashes int, priority smallint, queue text, kind text,
  partition_key text, unique_key text, tags text, args text);
