-- The engine's tables. Times are microseconds since the Unix epoch (UTC); numbers of states and priorities are those of
-- include/millrace/job.h.

-- Numbers the engine must not forget: 'next_job' is above every job id ever given out and later deleted; 'epoch of SCOPE'
-- is that of the latest leadership.
CREATE TABLE setting (
  name TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE queue (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  paused INTEGER NOT NULL DEFAULT 0,
  capacity INTEGER,
  overflow INTEGER NOT NULL DEFAULT 0,
  spill_to INTEGER NOT NULL DEFAULT 4,
  rate_limit REAL,
  concurrency INTEGER,
  tokens REAL NOT NULL DEFAULT -1,
  tokens_at INTEGER NOT NULL DEFAULT 0
) STRICT;

-- How many jobs each queue holds, kept in the transactions that change it.
CREATE TABLE queue_count (
  queue INTEGER NOT NULL REFERENCES queue (id),
  priority INTEGER NOT NULL,
  state INTEGER NOT NULL,
  n INTEGER NOT NULL,
  PRIMARY KEY (queue, priority, state)
) STRICT, WITHOUT ROWID;

CREATE TABLE kind (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  handled INTEGER NOT NULL DEFAULT 0 -- some worker has had a handler for it
) STRICT;

CREATE TABLE worker (
  incarnation INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  type TEXT NOT NULL,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  slots INTEGER NOT NULL,
  state INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  last_heartbeat INTEGER NOT NULL
) STRICT;
CREATE INDEX worker_by_id ON worker (id, incarnation);

-- Every job, live and finished. Claims and completions rewrite a row in place: started_at, finished_at and token are
-- written with placeholders of their final width when the job is inserted, so that the row never grows on that path.
CREATE TABLE job (
  id INTEGER PRIMARY KEY,
  queue INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  state INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  max_attempts INTEGER NOT NULL,
  crashes INTEGER NOT NULL,
  max_crashes INTEGER NOT NULL,
  timeout INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  run_at INTEGER NOT NULL,
  started_at INTEGER NOT NULL,  -- of the latest attempt; means nothing before the first
  finished_at INTEGER NOT NULL, -- means nothing before it has finished
  token INTEGER NOT NULL,       -- of the latest lease; its bits 40 to 61 are the worker's incarnation
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  run INTEGER,
  partition_key TEXT,
  unique_key TEXT,
  tags TEXT,     -- a JSON array
  args TEXT NOT NULL,
  result TEXT,
  error TEXT,
  progress REAL,
  progress_message TEXT
) STRICT;

-- Claim order, for jobs of no partition. The columns that the condition fixes are in the index as well, so that a claim finds
-- candidates without reading their rows.
CREATE INDEX job_ready ON job (queue, priority, state, partition_key, run_at) WHERE state = 2 AND partition_key IS NULL;
CREATE INDEX job_ready_in_partition ON job (partition_key, queue, priority, state, run_at)
  WHERE state = 2 AND partition_key IS NOT NULL;
CREATE INDEX job_due ON job (run_at, state) WHERE state IN (1, 4);
CREATE UNIQUE INDEX job_unique ON job (unique_key) WHERE unique_key IS NOT NULL AND state < 5;
CREATE INDEX job_open_in_run ON job (run) WHERE run IS NOT NULL AND state < 5;
CREATE INDEX job_dead ON job (finished_at) WHERE state = 7;

-- The first available job of each partition in a lane (queue and priority), kept in the transactions that change it.
CREATE TABLE partition_head (
  queue INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  partition_key TEXT NOT NULL,
  run_at INTEGER NOT NULL,
  job INTEGER NOT NULL,
  PRIMARY KEY (queue, priority, partition_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX partition_head_order ON partition_head (queue, priority, run_at, job);

-- One row per claimed batch that still has a running job; `jobs` is their ids, 8 bytes each, little endian.
CREATE TABLE lease (
  token INTEGER PRIMARY KEY,
  jobs BLOB NOT NULL
) STRICT;

-- Attempts that did not succeed. A success stands in its job's row.
CREATE TABLE attempt (
  id INTEGER PRIMARY KEY,
  job INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  error TEXT NOT NULL,
  worker TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  finished_at INTEGER NOT NULL
) STRICT;
CREATE INDEX attempt_by_job ON attempt (job);

CREATE TABLE run (
  id INTEGER PRIMARY KEY,
  pipeline TEXT NOT NULL,
  identity TEXT NOT NULL,
  generation INTEGER NOT NULL,
  state INTEGER NOT NULL,
  spec TEXT NOT NULL,
  finals TEXT NOT NULL, -- a JSON array of jobs, enqueued one after the other
  discovery_done INTEGER NOT NULL DEFAULT 0,
  finals_started INTEGER NOT NULL DEFAULT 0,
  open INTEGER NOT NULL DEFAULT 0,
  started_at INTEGER NOT NULL,
  finished_at INTEGER,
  UNIQUE (identity, generation)
) STRICT;
CREATE UNIQUE INDEX run_active ON run (identity) WHERE state = 0;

CREATE TABLE run_count (
  run INTEGER NOT NULL,
  state INTEGER NOT NULL,
  n INTEGER NOT NULL,
  PRIMARY KEY (run, state)
) STRICT, WITHOUT ROWID;
