-- Jobs that wait for others. src/engine/dependencies.h has the rules; here they hold for whole sets of jobs.
--
-- No release is lost. Who enqueues a job that waits for D locks D's row (FOR KEY SHARE) until it commits; who finishes D
-- deletes that row, and looks for those that wait only after that, in a statement of its own. So either D's end waits
-- for the enqueue, and sees the new row in dependency, or the enqueue waits for D's end, and finds D in history. And who
-- counts down a waiting job holds its row (FOR UPDATE) to its commit, so of two jobs that finish at once the later one
-- sees what the other has counted: one of them is the last.
--
-- Nobody waits in a circle. Locks are taken in this order, within each step in order of token or id:
--   1. leases: by reports, rescue and the like; and, shared, by an enqueue, of the running jobs it names
--   2. rows of jobs named or to be finished: by an enqueue, by cancels; those that run belong to who holds the lease
--   3. rows of waiting jobs that may be decided: all that a failure may reach, together, before any is changed
--   4. what an enqueue takes after that: capacities, unique keys, partitions' keys
-- A waiting job's id is above those of the jobs it waits for, so 3 after 2 is the order of ids too. What this leaves
-- (a job that is claimed between an enqueue's steps 1 and 2, a holder of a unique key as dependency, several calls in one
-- transaction, two reports whose emits name each other's jobs) PostgreSQL finds, and the driver runs the call again.
--
-- A transaction that named D keeps D from being claimed and finished until it ends: it should end soon.

-- Locks the unfinished jobs among those named, and says of each whether it has ended: 0 not yet, or the state it ended
-- in. Raises MR002 for one that is not there; naming[i] is the place in the batch of the job that names needs[i].
CREATE OR REPLACE FUNCTION @schema@.find_dependencies(naming int[], needs bigint[], OUT ids bigint[],
                                                      OUT states smallint[])
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
  wanted bigint[] := ARRAY(SELECT DISTINCT n FROM unnest(needs) AS n WHERE n > 0 ORDER BY n);
  live bigint[];
  ended record;
  place int;
BEGIN
  ids := '{}';
  states := '{}';
  -- More than once: between its two looks a dead job may have been started again.
  FOR look IN 1 .. 3 LOOP
    EXIT WHEN cardinality(wanted) = 0;
    PERFORM FROM lease WHERE token = ANY (ARRAY(SELECT token FROM job WHERE id = ANY (wanted) AND state = 3))
    ORDER BY token FOR SHARE;
    live := ARRAY(SELECT id FROM job WHERE id = ANY (wanted) ORDER BY id FOR KEY SHARE);
    wanted := ARRAY(SELECT unnest(wanted) EXCEPT SELECT unnest(live) ORDER BY 1);
    ids := ids || live;
    states := states || array_fill(0::smallint, ARRAY[cardinality(live)]);
    EXIT WHEN cardinality(wanted) = 0;
    SELECT coalesce(array_agg(id), '{}') AS ids, coalesce(array_agg(state), '{}') AS states INTO ended
    FROM (SELECT id, state FROM job_history WHERE id = ANY (wanted)
          UNION ALL SELECT id, state FROM dead_letter WHERE id = ANY (wanted)) AS e;
    wanted := ARRAY(SELECT unnest(wanted) EXCEPT SELECT unnest(ended.ids) ORDER BY 1);
    ids := ids || ended.ids;
    states := states || ended.states;
  END LOOP;
  IF cardinality(wanted) = 0 THEN RETURN; END IF;
  SELECT o INTO place FROM unnest(naming, needs) WITH ORDINALITY AS d (p, n, o)
  WHERE n = ANY (wanted) ORDER BY p, o LIMIT 1;
  RAISE EXCEPTION 'job % of the batch: after: there is no job %, or its history was deleted', naming[place] - 1,
    needs[place] USING ERRCODE = 'MR002';
END $$;

-- What an enqueue names, as three columns: job naming[i] of the batch waits for job needs[i], or when that is negative
-- for job -needs[i] of the batch, by policy policies[i]. Called when the batch is inserted: born are its jobs' ids,
-- jobs the same or, of a duplicate, the job that has its unique key. known and states: from find_dependencies.
CREATE OR REPLACE FUNCTION @schema@.link_jobs(born bigint[], jobs bigint[], naming int[], needs bigint[],
                                              policies smallint[], known bigint[], states smallint[]) RETURNS void
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
  holders bigint[];
  more record;
  waiting bigint[];
  decided bigint[];
BEGIN
  holders := ARRAY(SELECT DISTINCT jobs[-n] FROM unnest(needs) AS n WHERE n < 0 AND jobs[-n] <> born[-n]);
  IF cardinality(holders) > 0 THEN
    more := find_dependencies(array_fill(1, ARRAY[cardinality(holders)]), holders);
    known := known || more.ids;
    states := states || more.states;
  END IF;
  WITH edge AS MATERIALIZED (
    SELECT DISTINCT jobs[p] AS job, CASE WHEN n > 0 THEN n ELSE jobs[-n] END AS needs, policy
    FROM unnest(naming, needs, policies) AS e (p, n, policy) WHERE jobs[p] = born[p]
  ), named AS MATERIALIZED (
    SELECT DISTINCT id, state FROM unnest(known, states) AS k (id, state)
  ), edge_state AS MATERIALIZED (
    SELECT e.*, coalesce(k.state, 0) AS state FROM edge AS e LEFT JOIN named AS k ON k.id = e.needs
  ), edges AS (
    INSERT INTO dependency (needs, job) SELECT e.needs, e.job FROM edge_state AS e WHERE e.state = 0
  ), waits AS (
    INSERT INTO waiting_job (job, failed, open, policy)
    SELECT e.job, min(e.needs) FILTER (WHERE e.state IN (6, 7)), count(*) FILTER (WHERE e.state = 0), min(e.policy)
    FROM edge_state AS e GROUP BY e.job
    RETURNING job
  )
  SELECT array_agg(job) INTO waiting FROM waits;
  IF waiting IS NULL THEN RETURN; END IF;
  decided := decide_waiting(waiting);
  IF cardinality(decided) > 0 THEN
    PERFORM finish_dependencies(decided, array_fill(6::smallint, ARRAY[cardinality(decided)]));
  END IF;
END $$;

-- Locks the rows of all waiting jobs that may be decided by these jobs' ends: those that wait for them, and on from
-- those of them that may be cancelled. Once they are locked nothing can be added to them; what was added just before
-- takes another round.
CREATE OR REPLACE FUNCTION @schema@.lock_dependents(done bigint[], done_states smallint[]) RETURNS void
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
  reached bigint[];
  locked bigint[] := '{}';
BEGIN
  LOOP
    WITH RECURSIVE reach (job, cancelled) AS (
      SELECT d.job, CASE WHEN f.state = 5 THEN w.policy = 1 ELSE w.policy = 0 END
      FROM unnest(done, done_states) AS f (id, state),
      LATERAL (SELECT job FROM dependency WHERE needs = f.id OFFSET 0) AS d,
      LATERAL (SELECT policy FROM waiting_job WHERE job = d.job OFFSET 0) AS w
      UNION
      SELECT d.job, w.policy = 0
      FROM reach AS r,
      LATERAL (SELECT job FROM dependency WHERE needs = r.job OFFSET 0) AS d,
      LATERAL (SELECT policy FROM waiting_job WHERE job = d.job OFFSET 0) AS w
      WHERE r.cancelled
    )
    SELECT coalesce(array_agg(DISTINCT job ORDER BY job), '{}') INTO reached FROM reach;
    EXIT WHEN reached = locked;
    PERFORM FROM job WHERE id = ANY (reached) ORDER BY id FOR UPDATE;
    locked := reached;
  END LOOP;
END $$;

-- These jobs have finished, in these states: what becomes of those that wait for them, and, level by level, of those
-- that wait for what is cancelled for it.
CREATE OR REPLACE FUNCTION @schema@.finish_dependencies(done bigint[], done_states smallint[]) RETURNS void
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
  ended record;
  told bigint[];
BEGIN
  SELECT coalesce(array_agg(f.id ORDER BY f.id), '{}') AS ids, coalesce(array_agg(f.state ORDER BY f.id), '{}') AS states
  INTO ended FROM unnest(done, done_states) AS f (id, state) WHERE f.state >= 5;
  PERFORM lock_dependents(ended.ids, ended.states);
  WHILE cardinality(ended.ids) > 0 LOOP
    -- A join of the two could be planned as a walk through the whole table for each job that ended.
    WITH closed AS MATERIALIZED (
      SELECT d.tid, d.job, f.id AS needs, f.state
      FROM unnest(ended.ids, ended.states) AS f (id, state),
      LATERAL (SELECT ctid AS tid, job FROM dependency WHERE needs = f.id OFFSET 0) AS d
    ), gone AS (
      DELETE FROM dependency WHERE ctid = ANY (ARRAY(SELECT tid FROM closed))
    ), counted AS MATERIALIZED (
      SELECT job, count(*) AS n, min(needs) FILTER (WHERE state <> 5) AS failed FROM closed GROUP BY job
    ), told AS (
      UPDATE waiting_job AS w SET open = w.open - c.n, failed = coalesce(w.failed, c.failed)
      FROM counted AS c WHERE w.job = c.job
      RETURNING w.job
    )
    SELECT coalesce(array_agg(job), '{}') INTO told FROM told;
    ended.ids := decide_waiting(told);
    ended.states := array_fill(6::smallint, ARRAY[cardinality(ended.ids)]);
  END LOOP;
END $$;

-- Runs or cancels those of these waiting jobs for which that is decided now, and returns the cancelled ones. Runs that
-- may be over without them are kept for settled_runs.
CREATE OR REPLACE FUNCTION @schema@.decide_waiting(jobs bigint[]) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
  ready bigint[];
  given_up bigint[];
  reasons text[];
BEGIN
  SELECT coalesce(array_agg(w.job) FILTER (WHERE NOT w.cancelled), '{}'),
         coalesce(array_agg(w.job) FILTER (WHERE w.cancelled), '{}'),
         array_agg(coalesce('job ' || w.failed || ', which it waited for, died or was cancelled',
                            'all jobs it waited for succeeded; it was to run if one failed')) FILTER (WHERE w.cancelled)
  INTO ready, given_up, reasons
  FROM (SELECT job, failed, CASE WHEN policy = 0 AND failed IS NOT NULL THEN true
                                 WHEN open > 0 THEN NULL
                                 ELSE policy = 1 AND failed IS NULL END AS cancelled
        FROM waiting_job WHERE job = ANY (jobs)) AS w;
  IF cardinality(ready) > 0 THEN PERFORM release_waiting(ready); END IF;
  IF cardinality(given_up) > 0 THEN PERFORM cancel_now(given_up, reasons); END IF;
  RETURN given_up;
END $$;

-- Lets waiting jobs run, at once or at their run_at.
CREATE OR REPLACE FUNCTION @schema@.release_waiting(ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
  t timestamptz := clock();
  freed record;
BEGIN
  DELETE FROM waiting_job WHERE job = ANY (ids);
  WITH freed AS (
    UPDATE job SET state = CASE WHEN run_at > t THEN 1 ELSE 2 END WHERE id = ANY (ids) RETURNING *
  )
  SELECT array_agg(id) AS ids, array_agg(queue) AS queues, array_agg(priority) AS priorities, array_agg(run) AS runs,
         array_agg(state) AS states, array_agg(run_at) AS run_ats, array_agg(partition_key) AS keys
  INTO freed FROM freed;
  IF freed.ids IS NULL THEN RETURN; END IF;
  PERFORM count_moves(freed.queues, freed.priorities, freed.runs, array_fill(0::smallint, ARRAY[cardinality(freed.ids)]),
                      freed.states);
  PERFORM announce_partitions(array_agg(q), array_agg(p), array_agg(k), array_agg(at), array_agg(i))
  FROM unnest(freed.queues, freed.priorities, freed.keys, freed.run_ats, freed.ids) AS j (q, p, k, at, i)
  WHERE k IS NOT NULL HAVING count(*) > 0;
  PERFORM wake_idle(freed.queues, freed.priorities);
END $$;

-- Cancels jobs that no worker holds and whose rows are locked; errors: why, for each of ids, or NULL. Returns them.
CREATE OR REPLACE FUNCTION @schema@.cancel_now(ids bigint[], errors text[]) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
  t timestamptz := clock();
  gone record;
BEGIN
  WITH gone AS (
    DELETE FROM job USING unnest(cancel_now.ids, errors) AS c (i, why) WHERE id = i AND state <> 3 RETURNING job.*, why
  ), history AS (
    INSERT INTO job_history
    SELECT id, run_at, created_at, started_at, t, incarnation, run, timeout, progress, attempt, max_attempts, crashes,
           max_crashes, priority, 6, queue, kind, partition_key, unique_key, tags, args, NULL, coalesce(why, error),
           progress_message
    FROM gone
  )
  SELECT array_agg(id) AS ids, array_agg(queue) AS queues, array_agg(priority) AS priorities, array_agg(run) AS runs,
         array_agg(state) AS states INTO gone FROM gone;
  IF gone.ids IS NULL THEN RETURN '{}'; END IF;
  PERFORM count_moves(gone.queues, gone.priorities, gone.runs, gone.states,
                      array_fill(6::smallint, ARRAY[cardinality(gone.ids)]));
  IF 0 = ANY (gone.states) THEN
    DELETE FROM dependency WHERE job = ANY (gone.ids);
    DELETE FROM waiting_job WHERE job = ANY (gone.ids);
  END IF;
  IF EXISTS (SELECT FROM unnest(gone.runs) AS r WHERE r IS NOT NULL) THEN
    PERFORM set_config('@schema@.settled_runs', ARRAY(SELECT unnest(settled_runs()) UNION
                                                      SELECT r FROM unnest(gone.runs) AS r WHERE r IS NOT NULL)::text, true);
  END IF;
  RETURN gone.ids;
END $$;

-- Runs of which this transaction has cancelled jobs: when it has committed, somebody should look whether they are over.
CREATE OR REPLACE FUNCTION @schema@.settled_runs() RETURNS bigint[]
LANGUAGE sql VOLATILE AS $$
  SELECT coalesce(nullif(current_setting('@schema@.settled_runs', true), '')::bigint[], '{}')
$$;

-- The dependencies of those jobs of a batch that are enqueued (takes), with their new places; see link_jobs.
CREATE OR REPLACE FUNCTION @schema@.kept_dependencies(takes boolean[], INOUT naming int[], INOUT needs bigint[],
                                                      INOUT policies smallint[])
LANGUAGE plpgsql IMMUTABLE SET search_path = @schema@, pg_catalog AS $$
#variable_conflict use_variable
DECLARE
  places int[];
BEGIN
  IF naming IS NULL OR NOT false = ANY (takes) THEN RETURN; END IF;
  places := ARRAY(SELECT (count(*) FILTER (WHERE t) OVER (ORDER BY o))::int
                  FROM unnest(takes) WITH ORDINALITY AS r (t, o) ORDER BY o);
  SELECT array_agg(places[p] ORDER BY o), array_agg(CASE WHEN n > 0 THEN n ELSE -places[-n] END ORDER BY o),
         array_agg(y ORDER BY o)
  INTO naming, needs, policies
  FROM unnest(naming, needs, policies) WITH ORDINALITY AS d (p, n, y, o) WHERE takes[p];
END $$;
