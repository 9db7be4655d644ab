-- What people ask for: cancel, retry, purge; and retention.

-- Jobs that wait are cancelled at once; running ones get a request. Returns those.
CREATE OR REPLACE FUNCTION @schema@.cancel_jobs(ids bigint[]) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  done bigint[] := '{}';
  part bigint[];
  lanes record;
BEGIN
  SELECT array_agg(queue) AS queues, array_agg(priority) AS priorities, array_agg(partition_key) AS keys INTO lanes
  FROM (SELECT DISTINCT queue, priority, partition_key FROM job
        WHERE id = ANY (ids) AND partition_key IS NOT NULL AND state IN (1, 2, 4)) AS lane;
  -- Between two looks a job may have been claimed or given back.
  FOR look IN 1 .. 2 LOOP
    part := cancel_waiting(ids);
    done := done || part;
    PERFORM FROM lease WHERE token IN (SELECT token FROM job WHERE id = ANY (ids) AND state = 3)
      ORDER BY token FOR UPDATE; -- see end_attempts
    WITH asked AS (
      UPDATE job SET cancel_requested = true WHERE id = ANY (ids) AND state = 3 AND NOT id = ANY (done) RETURNING id)
    SELECT array_agg(id) INTO part FROM asked;
    done := done || part;
  END LOOP;
  -- Last, since it only tries for its locks and nothing is waited for while they are held. A position left behind would
  -- let a partition stand before ones whose jobs have waited longer.
  PERFORM advance_lane(q, p, k) FROM unnest(lanes.queues, lanes.priorities, lanes.keys) AS l (q, p, k);
  RETURN ARRAY(SELECT i FROM unnest(done) AS i ORDER BY i);
END $$;

CREATE OR REPLACE FUNCTION @schema@.cancel_waiting(ids bigint[]) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  done bigint[];
BEGIN
  -- In order: an enqueue that names some of these jobs locks them so too.
  PERFORM FROM job WHERE id = ANY (ids) AND state <> 3 ORDER BY id FOR UPDATE;
  done := cancel_now(ids, NULL);
  PERFORM finish_dependencies(done, array_fill(6::smallint, ARRAY[cardinality(done)])) WHERE cardinality(done) > 0;
  RETURN done;
END $$;

-- Cancels at most `most` of what is open in a cancelled run (see cancel_run), and returns of how many that was. The newest
-- first: what waits goes before what it waits for, and is not let go by its end.
DROP FUNCTION IF EXISTS @schema@.cancel_open_jobs(bigint);
CREATE OR REPLACE FUNCTION @schema@.cancel_open_jobs(of_run bigint, most int) RETURNS int
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  ids bigint[];
BEGIN
  IF NOT EXISTS (SELECT FROM run WHERE id = of_run AND state = 2) THEN RETURN 0; END IF;
  ids := ARRAY(SELECT id FROM job WHERE run = of_run AND NOT (state = 3 AND cancel_requested)
               ORDER BY run DESC, id DESC LIMIT most);
  PERFORM cancel_jobs(ids);
  RETURN cardinality(ids);
END $$;

-- Dead jobs start again, at most `most` of `ids` in this order; one whose unique key is taken is left alone.
CREATE OR REPLACE FUNCTION @schema@.retry_dead(ids bigint[], most int) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  t timestamptz := clock();
  dead_id bigint;
  done bigint[] := '{}';
  back record;
BEGIN
  FOREACH dead_id IN ARRAY ids LOOP
    EXIT WHEN cardinality(done) >= most;
    PERFORM FROM dead_letter WHERE id = dead_id FOR UPDATE;
    CONTINUE WHEN NOT FOUND;
    INSERT INTO job (id, run_at, created_at, started_at, incarnation, run, timeout, progress, max_attempts, max_crashes,
                     priority, state, queue, kind, partition_key, unique_key, tags, args, error, progress_message)
    SELECT id, t, created_at, started_at, incarnation, run, timeout, progress, max_attempts, max_crashes, priority, 2,
           queue, kind, partition_key, unique_key, tags, args, error, progress_message
    FROM dead_letter WHERE id = dead_id
    ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL DO NOTHING;
    CONTINUE WHEN NOT FOUND;
    DELETE FROM dead_letter WHERE id = dead_id;
    done := done || dead_id;
  END LOOP;
  IF cardinality(done) = 0 THEN RETURN done; END IF;
  SELECT array_agg(queue) AS queues, array_agg(priority) AS priorities, array_agg(run) AS runs INTO back
  FROM job WHERE id = ANY (done);
  PERFORM count_moves(back.queues, back.priorities, back.runs, array_fill(7::smallint, ARRAY[cardinality(done)]),
                      array_fill(2::smallint, ARRAY[cardinality(done)]));
  PERFORM announce_partitions(array_agg(queue), array_agg(priority), array_agg(partition_key), array_agg(run_at), array_agg(id))
  FROM job WHERE id = ANY (done) AND partition_key IS NOT NULL HAVING count(*) > 0;
  PERFORM wake_idle(back.queues, back.priorities);
  RETURN done;
END $$;

-- Deletes up to `most` dead letters that died before, with their attempts.
CREATE OR REPLACE FUNCTION @schema@.purge_dead(before timestamptz, most int) RETURNS bigint
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  gone record;
BEGIN
  WITH gone AS (
    DELETE FROM dead_letter WHERE id IN (SELECT id FROM dead_letter WHERE finished_at < before
                                         ORDER BY finished_at LIMIT most FOR UPDATE SKIP LOCKED)
    RETURNING id, queue, priority, run
  ), attempts AS (DELETE FROM attempt WHERE job IN (SELECT id FROM gone))
  SELECT array_agg(id) AS ids, array_agg(queue) AS queues, array_agg(priority) AS priorities, array_agg(run) AS runs
  INTO gone FROM gone;
  IF gone.ids IS NULL THEN RETURN 0; END IF;
  PERFORM count_moves(gone.queues, gone.priorities, gone.runs, array_fill(7::smallint, ARRAY[cardinality(gone.ids)]),
                      array_fill(NULL::smallint, ARRAY[cardinality(gone.ids)]));
  RETURN cardinality(gone.ids);
END $$;

-- Deletes up to `most` completed and cancelled jobs that finished before, the oldest ids first.
CREATE OR REPLACE FUNCTION @schema@.delete_finished(before timestamptz, most int) RETURNS bigint
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  gone record;
BEGIN
  WITH old AS MATERIALIZED (
    SELECT id, finished_at FROM job_history WHERE finished_at < before ORDER BY id LIMIT most
  ), gone AS (
    DELETE FROM job_history AS h USING old WHERE h.id = old.id AND h.finished_at = old.finished_at
    RETURNING h.id, queue, priority, run, state
  ), attempts AS (DELETE FROM attempt WHERE job IN (SELECT id FROM gone))
  SELECT array_agg(id) AS ids, array_agg(queue) AS queues, array_agg(priority) AS priorities, array_agg(run) AS runs,
         array_agg(state) AS states INTO gone FROM gone;
  IF gone.ids IS NULL THEN RETURN 0; END IF;
  PERFORM count_moves(gone.queues, gone.priorities, gone.runs, gone.states,
                      array_fill(NULL::smallint, ARRAY[cardinality(gone.ids)]));
  RETURN cardinality(gone.ids);
END $$;

-- Makes history's partitions of today and the days to come. They are empty until their day, so that attaching one is
-- quick. It needs the whole of history for itself: where somebody reads there for longer (a dump), all reports would
-- queue up behind this one, so it soon gives up and is tried again; until then the default partition takes that day.
-- Runs as its owner: pg_temp comes last, so that nobody's own tables are taken for the engine's.
CREATE OR REPLACE FUNCTION @schema@.make_history_partitions(days int) RETURNS void
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE
  day date := (clock() AT TIME ZONE 'UTC')::date;
  name text;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('@schema@ history', 0)) THEN RETURN; END IF;
  FOR i IN 0 .. days LOOP
    name := 'job_history_' || to_char(day + i, 'YYYYMMDD');
    CONTINUE WHEN to_regclass('@schema@.' || name) IS NOT NULL;
    -- Rows of that day that the default partition took already would forbid it.
    CONTINUE WHEN EXISTS (SELECT FROM job_history_other
      WHERE finished_at >= (day + i)::timestamp AT TIME ZONE 'UTC'
        AND finished_at < (day + i + 1)::timestamp AT TIME ZONE 'UTC');
    EXECUTE format('CREATE TABLE @schema@.%I PARTITION OF @schema@.job_history FOR VALUES FROM (%L) TO (%L)', name,
                   (day + i)::timestamp AT TIME ZONE 'UTC', (day + i + 1)::timestamp AT TIME ZONE 'UTC');
  END LOOP;
EXCEPTION WHEN lock_not_available THEN NULL;
END $$;
