-- Report: what became of attempts. A lease that is not the job's current one changes nothing.

-- Ends attempts, whole columns at a time, and says of each whether its lease was current. Whoever changes a running job
-- locks its lease's row first, in order of token: so what is found here stays as it is to the end of the transaction.
-- to_states: where each job goes; one that has a cancel request and would wait again is cancelled instead. delays:
-- microseconds to run_at, -1 to keep it. outcomes: what stands among the failed attempts, NULL for none. errors: NULL
-- keeps the one the job has. of_incarnation NULL: whoever holds it (rescue). freed_queues, freed_priorities: where others
-- have work now, if there are any who wait for some; the caller wakes them (see wake_idle).
CREATE OR REPLACE FUNCTION @schema@.end_attempts(
  of_incarnation bigint, ids bigint[], attempts int[], tokens bigint[], to_states smallint[], delays bigint[],
  uncounted int[], crashed int[], outcomes text[], errors text[], results text[],
  OUT accepted boolean[], OUT freed_queues text[], OUT freed_priorities smallint[])
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
  t timestamptz := clock();
  n int := cardinality(ids);
  ended record;
BEGIN
  PERFORM FROM lease WHERE token = ANY (tokens) ORDER BY token FOR UPDATE;
  IF EXISTS (SELECT FROM unnest(tokens) AS k WHERE k & 1 = 1) THEN
    PERFORM FROM partition WHERE key IN (SELECT partition_key FROM job WHERE id = ANY (ids)) ORDER BY key FOR UPDATE;
  END IF;
  IF of_incarnation IS NOT NULL
     AND NOT EXISTS (SELECT FROM unnest(to_states, results) AS r (s, text) WHERE s <> 5 OR text IS NOT NULL) THEN
    SELECT * INTO ended FROM complete_jobs(of_incarnation, ids, attempts, tokens, t);
  ELSE
    SELECT * INTO ended FROM end_jobs(of_incarnation, ids, attempts, tokens, to_states, delays, uncounted, crashed, outcomes,
                                      errors, results, t);
  END IF;
  IF ended.ords IS NULL THEN
    accepted := array_fill(false, ARRAY[n]);
    RETURN;
  END IF;
  PERFORM count_ended(ended.queues, ended.priorities, ended.states, ended.runs, ended.tokens);
  -- Mostly this look is all that dependencies cost: an index probe for each job.
  IF EXISTS (SELECT FROM dependency WHERE needs = ANY (ended.ids)) THEN
    PERFORM finish_dependencies(ended.ids, ended.states);
  END IF;
  PERFORM release_partitions(ended.queues, ended.priorities, ended.keys, ended.waiting, ended.run_ats)
  WHERE EXISTS (SELECT FROM unnest(ended.keys) AS k WHERE k IS NOT NULL);
  -- What waits again, or a place in a limited queue or a partition, is work for others.
  IF (EXISTS (SELECT FROM unnest(ended.waiting, ended.keys) AS e (i, k) WHERE i IS NOT NULL OR k IS NOT NULL)
      OR EXISTS (SELECT FROM queue WHERE name = ANY (ended.queues) AND concurrency IS NOT NULL))
     AND EXISTS (SELECT FROM idle_worker) THEN
    freed_queues := ended.queues;
    freed_priorities := ended.priorities;
  END IF;
  accepted := CASE WHEN cardinality(ended.ords) = n THEN array_fill(true, ARRAY[n])
                   ELSE ARRAY(SELECT o = ANY (ended.ords) FROM generate_series(1, n) AS o ORDER BY o) END;
END $$;

-- The jobs themselves, whatever becomes of them; see end_attempts, whose locks let rows be named by ctid. ords: which of
-- of_ids were found; NULL when none was, as the rest. waiting: the ids of those that wait again.
-- (Joined with the table by id, the planner may walk all of it when its statistics are old: the look-up below cannot be
-- planned in another way.)
CREATE OR REPLACE FUNCTION @schema@.end_jobs(
  of_incarnation bigint, of_ids bigint[], attempts int[], of_tokens bigint[], to_states smallint[], delays bigint[],
  uncounted int[], crashed int[], outcomes text[], errors text[], results text[], t timestamptz,
  OUT ids bigint[], OUT ords bigint[], OUT tokens bigint[], OUT queues text[], OUT priorities smallint[], OUT runs bigint[],
  OUT keys text[], OUT states smallint[], OUT waiting bigint[], OUT run_ats timestamptz[])
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
BEGIN
  WITH found AS MATERIALIZED (
    SELECT r.o, r.outcome, coalesce(r.error, j.error) AS error, r.error AS said, r.result, j.tid, j.job,
           (j.job).attempt - r.uncounted AS counted, (j.job).crashes + r.crashed AS crashes,
           CASE WHEN nullif(r.delay, -1) IS NULL THEN (j.job).run_at
                ELSE t + greatest(r.delay, 0) * interval '1 microsecond' END AS run_at,
           CASE WHEN r.state >= 5 THEN r.state
                WHEN (j.job).cancel_requested THEN 6::smallint
                WHEN r.state <> 2 AND r.delay <= 0 THEN 2::smallint
                ELSE r.state END AS to_state
    FROM unnest(of_ids, attempts, of_tokens, to_states, delays, uncounted, crashed, outcomes, errors, results)
      WITH ORDINALITY AS r (id, attempt, token, state, delay, uncounted, crashed, outcome, error, result, o),
    LATERAL (
      SELECT j.ctid AS tid, j AS job, j.error FROM job AS j
      WHERE j.id = r.id AND j.token = r.token AND j.attempt = r.attempt AND j.state = 3
        AND j.incarnation = coalesce(of_incarnation, j.incarnation)
      OFFSET 0) AS j
  ), failed AS (
    INSERT INTO attempt (job, incarnation, started_at, finished_at, attempt, outcome, error)
    SELECT (job).id, (job).incarnation, (job).started_at, t, (job).attempt, outcome, coalesce(said, '')
    FROM found WHERE outcome IS NOT NULL ORDER BY o
  ), history AS (
    INSERT INTO job_history
    SELECT (job).id, run_at, (job).created_at, (job).started_at, t, (job).incarnation, (job).run, (job).timeout,
           (job).progress, counted, (job).max_attempts, crashes, (job).max_crashes, (job).priority, to_state, (job).queue,
           (job).kind, (job).partition_key, (job).unique_key, (job).tags, (job).args, result, error,
           (job).progress_message
    FROM found WHERE to_state IN (5, 6)
  ), dead AS (
    INSERT INTO dead_letter
    SELECT (job).id, run_at, (job).created_at, (job).started_at, t, (job).incarnation, (job).run, (job).timeout,
           (job).progress, counted, (job).max_attempts, crashes, (job).max_crashes, (job).priority, to_state, (job).queue,
           (job).kind, (job).partition_key, (job).unique_key, (job).tags, (job).args, result, error,
           (job).progress_message
    FROM found WHERE to_state = 7
  ), gone AS (
    DELETE FROM job WHERE ctid = ANY (ARRAY(SELECT tid FROM found WHERE to_state >= 5))
  ), back AS (
    UPDATE job AS j SET state = f.to_state, token = 0, run_at = f.run_at, attempt = f.counted, crashes = f.crashes,
      error = f.error, deadline = NULL
    FROM found AS f WHERE f.to_state < 5 AND j.ctid = f.tid
  )
  SELECT array_agg((job).id), array_agg(o), array_agg((job).token), array_agg((job).queue), array_agg((job).priority),
         array_agg((job).run), array_agg((job).partition_key), array_agg(to_state),
         array_agg(CASE WHEN to_state < 5 THEN (job).id END), array_agg(run_at)
  INTO ids, ords, tokens, queues, priorities, runs, keys, states, waiting, run_ats FROM found;
END $$;

-- The same for jobs that are completed and have nothing to say, which most are: straight from one table into the other.
CREATE OR REPLACE FUNCTION @schema@.complete_jobs(
  of_incarnation bigint, of_ids bigint[], attempts int[], of_tokens bigint[], t timestamptz,
  OUT ids bigint[], OUT ords bigint[], OUT tokens bigint[], OUT queues text[], OUT priorities smallint[], OUT runs bigint[],
  OUT keys text[], OUT states smallint[], OUT waiting bigint[], OUT run_ats timestamptz[])
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
  batch record;
  done record;
BEGIN
  -- Of one lease and attempt: then the look-up by id needs no join, whose plan would depend on statistics.
  FOR batch IN
    SELECT a, k, array_agg(i) AS ids, array_agg(o) AS ords
    FROM unnest(of_ids, attempts, of_tokens) WITH ORDINALITY AS r (i, a, k, o) GROUP BY a, k
  LOOP
    WITH gone AS (
      DELETE FROM job WHERE id = ANY (batch.ids) AND token = batch.k AND attempt = batch.a AND state = 3
        AND incarnation = of_incarnation
      RETURNING *
    ), history AS (
      INSERT INTO job_history
      SELECT id, run_at, created_at, started_at, t, incarnation, run, timeout, progress, attempt, max_attempts, crashes,
             max_crashes, priority, 5, queue, kind, partition_key, unique_key, tags, args, NULL, error, progress_message
      FROM gone
    )
    SELECT count(*) AS n, array_agg(id) AS ids, array_agg(token) AS tokens, array_agg(queue) AS queues,
           array_agg(priority) AS priorities, array_agg(run) AS runs, array_agg(partition_key) AS keys
    INTO done FROM gone;
    CONTINUE WHEN done.n = 0;
    ords := ords || CASE WHEN done.n = cardinality(batch.ids) THEN batch.ords
                         ELSE ARRAY(SELECT o FROM unnest(batch.ids, batch.ords) AS r (i, o) WHERE i = ANY (done.ids)) END;
    ids := ids || done.ids;
    tokens := tokens || done.tokens;
    queues := queues || done.queues;
    priorities := priorities || done.priorities;
    runs := runs || done.runs;
    keys := keys || done.keys;
  END LOOP;
  states := array_fill(5::smallint, ARRAY[coalesce(cardinality(ids), 0)]);
END $$;

-- Gives back partitions whose jobs ended, and makes those that wait again (an id in `waiting`) known. Their rows are locked.
CREATE OR REPLACE FUNCTION @schema@.release_partitions(queues text[], priorities smallint[], keys text[], waiting bigint[],
                                                       run_ats timestamptz[]) RETURNS void
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
BEGIN
  UPDATE partition AS p SET running = running - k.n, holder = CASE WHEN running > k.n THEN holder ELSE 0 END
  FROM (SELECT key, count(*) AS n FROM unnest(keys) AS key WHERE key IS NOT NULL GROUP BY key) AS k
  WHERE p.key = k.key;
  PERFORM announce_partitions(array_agg(q), array_agg(p), array_agg(k), array_agg(at), array_agg(i))
  FROM unnest(queues, priorities, keys, run_ats, waiting) AS j (q, p, k, at, i)
  WHERE k IS NOT NULL AND i IS NOT NULL HAVING count(*) > 0;
END $$;

-- Counts jobs out of running, and out of their leases.
CREATE OR REPLACE FUNCTION @schema@.count_ended(queues text[], priorities smallint[], states smallint[], runs bigint[],
                                                tokens bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  INSERT INTO queue_change
  SELECT q, p, 0, count(*) FILTER (WHERE s = 1), count(*) FILTER (WHERE s = 2), -count(*),
         count(*) FILTER (WHERE s = 4), count(*) FILTER (WHERE s = 5), count(*) FILTER (WHERE s = 6),
         count(*) FILTER (WHERE s = 7)
  FROM unnest(queues, priorities, states) AS j (q, p, s) GROUP BY q, p;
  IF EXISTS (SELECT FROM unnest(runs) AS r WHERE r IS NOT NULL) THEN
    INSERT INTO run_change
    SELECT r, 0, count(*) FILTER (WHERE s = 1), count(*) FILTER (WHERE s = 2), -count(*),
           count(*) FILTER (WHERE s = 4), count(*) FILTER (WHERE s = 5), count(*) FILTER (WHERE s = 6),
           count(*) FILTER (WHERE s = 7)
    FROM unnest(runs, states) AS j (r, s) WHERE r IS NOT NULL GROUP BY r;
  END IF;
  DELETE FROM lease AS l USING (SELECT k, count(*) AS n FROM unnest(tokens) AS k GROUP BY k) AS done
  WHERE l.token = done.k AND l.open <= done.n;
  UPDATE lease AS l SET open = open - done.n FROM (SELECT k, count(*) AS n FROM unnest(tokens) AS k GROUP BY k) AS done
  WHERE l.token = done.k;
END $$;

-- A worker's reports. What each emits is enqueued with it, if its lease is current: emit_of names the report by position.
-- Runs that may be over come back with the answer, for advance_run to look at after the commit; and what was freed, for
-- wake_idle: a transaction that notifies is alone in committing until it is on the disk.
CREATE OR REPLACE FUNCTION @schema@.report(
  worker_id text, of_incarnation bigint, ids bigint[], attempts int[], tokens bigint[], to_states smallint[],
  delays bigint[], uncounted int[], outcomes text[], errors text[], results text[], discovered boolean[],
  emit_of int[], kinds text[], argss text[], queues text[], priorities smallint[], run_ats timestamptz[],
  emit_delays bigint[], max_attemptss int[], max_crashess int[], timeouts bigint[], partition_keys text[],
  unique_keys text[], tagss text[], naming int[], needs bigint[], policies smallint[],
  OUT accepted boolean[], OUT finished_runs bigint[], OUT freed_queues text[], OUT freed_priorities smallint[])
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
  run_of bigint[];
  cancelled bigint[];
  takes boolean[];
  kept record;
BEGIN
  IF NOT EXISTS (SELECT FROM worker WHERE incarnation = of_incarnation AND id = worker_id AND state <> 2
                 AND NOT superseded) THEN
    accepted := array_fill(false, ARRAY[cardinality(ids)]);
    RETURN;
  END IF;
  IF cardinality(emit_of) > 0 OR EXISTS (SELECT FROM run WHERE state = 0) THEN
    run_of := ARRAY(SELECT (SELECT j.run FROM job AS j WHERE j.id = i) FROM unnest(ids) WITH ORDINALITY AS r (i, o)
                    ORDER BY o);
  END IF;
  SELECT e.* INTO accepted, freed_queues, freed_priorities
  FROM end_attempts(of_incarnation, ids, attempts, tokens, to_states, delays, uncounted,
                    array_fill(0, ARRAY[cardinality(ids)]), outcomes, errors, results) AS e;
  IF cardinality(emit_of) > 0 THEN
    -- A cancelled run takes no more; until this commits, nobody cancels the others.
    PERFORM FROM run WHERE id = ANY (run_of) ORDER BY id FOR SHARE;
    cancelled := ARRAY(SELECT id FROM run WHERE id = ANY (run_of) AND state = 2);
    takes := ARRAY(SELECT accepted[e] AND coalesce(NOT run_of[e] = ANY (cancelled), true) FROM unnest(emit_of)
                   WITH ORDINALITY AS r (e, o) ORDER BY o);
    SELECT k.* INTO kept FROM kept_dependencies(takes, naming, needs, policies) AS k;
    PERFORM insert_jobs(array_agg(k ORDER BY o), array_agg(a ORDER BY o), array_agg(q ORDER BY o), array_agg(p ORDER BY o),
                        array_agg(at ORDER BY o), array_agg(d ORDER BY o), array_agg(ma ORDER BY o),
                        array_agg(mc ORDER BY o), array_agg(tmo ORDER BY o), array_agg(pk ORDER BY o),
                        array_agg(uk ORDER BY o), array_agg(coalesce(run_of[e], 0) ORDER BY o), array_agg(tg ORDER BY o), NULL, false,
                        kept.naming, kept.needs, kept.policies)
    FROM unnest(emit_of, kinds, argss, queues, priorities, run_ats, emit_delays, max_attemptss, max_crashess, timeouts,
                partition_keys, unique_keys, tagss) WITH ORDINALITY
      AS j (e, k, a, q, p, at, d, ma, mc, tmo, pk, uk, tg, o)
    WHERE takes[o] HAVING count(*) > 0;
  END IF;
  IF run_of IS NULL THEN RETURN; END IF;
  IF true = ANY (discovered) THEN
    UPDATE run SET discovery_done = true
    WHERE NOT discovery_done AND id IN (SELECT run_of[o] FROM generate_subscripts(ids, 1) AS o
                                        WHERE accepted[o] AND discovered[o] AND to_states[o] = 5);
  END IF;
  finished_runs := ARRAY(
    SELECT id FROM run WHERE state = 0 AND discovery_done
      AND (id IN (SELECT run_of[o] FROM generate_subscripts(ids, 1) AS o WHERE accepted[o] AND to_states[o] >= 5)
           OR id = ANY (settled_runs())));
END $$;

-- Enqueues for a running attempt, if its lease is current; MR003 else.
CREATE OR REPLACE FUNCTION @schema@.emit_jobs(
  worker_id text, of_incarnation bigint, job_id bigint, of_attempt int, of_token bigint,
  kinds text[], argss text[], queues text[], priorities smallint[], run_ats timestamptz[], delays bigint[],
  max_attemptss int[], max_crashess int[], timeouts bigint[], partition_keys text[], unique_keys text[], tagss text[],
  naming int[], needs bigint[], policies smallint[])
RETURNS TABLE (id bigint, duplicate boolean)
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
  emitter record;
BEGIN
  PERFORM FROM lease WHERE token = of_token FOR SHARE;
  SELECT j.run INTO emitter FROM job AS j
  WHERE j.id = job_id AND j.attempt = of_attempt AND j.token = of_token AND j.state = 3
    AND j.incarnation = of_incarnation
    AND EXISTS (SELECT FROM worker AS w WHERE w.incarnation = of_incarnation AND w.id = worker_id AND w.state <> 2
                AND NOT w.superseded);
  IF NOT FOUND THEN
    RAISE EXCEPTION 'job % attempt %: its lease is lost; nothing was enqueued', job_id, of_attempt USING ERRCODE = 'MR003';
  END IF;
  IF emitter.run IS NOT NULL THEN
    PERFORM FROM run AS r WHERE r.id = emitter.run FOR SHARE;
    IF (SELECT r.state FROM run AS r WHERE r.id = emitter.run) = 2 THEN
      RAISE EXCEPTION 'run % is cancelled; nothing was enqueued', emitter.run USING ERRCODE = 'MR005';
    END IF;
  END IF;
  RETURN QUERY SELECT * FROM insert_jobs(kinds, argss, queues, priorities, run_ats, delays, max_attemptss, max_crashess,
    timeouts, partition_keys, unique_keys, array_fill(coalesce(emitter.run, 0), ARRAY[cardinality(kinds)]), tagss, NULL, false,
    naming, needs, policies);
END $$;
