-- Report: what became of attempts. A lease that is not the job's current one changes nothing.

-- Ends attempts, whole columns at a time, and says of each whether its lease was current. Their leases' rows are locked
-- first, in order, so that reports and rescues of one batch take turns. to_states: where each job goes; one that has a
-- cancel request and would wait again is cancelled instead. delays: microseconds to run_at, -1 to keep it. outcomes:
-- what stands among the failed attempts, NULL for none. errors: NULL keeps the one the job has.
-- of_incarnation NULL: whoever holds it (rescue).
CREATE OR REPLACE FUNCTION @schema@.end_attempts(
  of_incarnation bigint, ids bigint[], attempts int[], tokens bigint[], to_states smallint[], delays bigint[],
  uncounted int[], crashed int[], outcomes text[], errors text[], results text[]) RETURNS boolean[]
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  t timestamptz := clock();
  n int := cardinality(ids);
  partitioned boolean;
  ended record;
BEGIN
  PERFORM FROM lease WHERE token = ANY (tokens) ORDER BY token FOR UPDATE;
  partitioned := EXISTS (SELECT FROM unnest(tokens) AS k WHERE k & 1 = 1);
  IF partitioned THEN
    PERFORM FROM partition WHERE key IN (SELECT partition_key FROM job WHERE id = ANY (ids)) ORDER BY key FOR UPDATE;
  END IF;
  -- Attempts that failed, before their rows go. The lease's lock keeps what is seen here true.
  IF EXISTS (SELECT FROM unnest(outcomes) AS o WHERE o IS NOT NULL) THEN
    INSERT INTO attempt (job, incarnation, started_at, finished_at, attempt, outcome, error)
    SELECT j.id, j.incarnation, j.started_at, t, j.attempt, r.outcome, coalesce(r.error, '')
    FROM unnest(ids, attempts, tokens, outcomes, errors) WITH ORDINALITY AS r (id, attempt, token, outcome, error, o)
    JOIN job AS j ON j.id = r.id AND j.token = r.token AND j.attempt = r.attempt AND j.state = 3
      AND j.incarnation = coalesce(of_incarnation, j.incarnation)
    WHERE r.outcome IS NOT NULL ORDER BY o;
  END IF;
  WITH r AS MATERIALIZED (
    SELECT id, attempt, token, state, nullif(delay, -1) AS delay, uncounted, crashed, error, result, o
    FROM unnest(ids, attempts, tokens, to_states, delays, uncounted, crashed, errors, results)
      WITH ORDINALITY AS r (id, attempt, token, state, delay, uncounted, crashed, error, result, o)
  ), gone AS (
    DELETE FROM job AS j USING r
    WHERE j.id = r.id AND j.token = r.token AND j.attempt = r.attempt AND j.state = 3
      AND j.incarnation = coalesce(of_incarnation, j.incarnation) AND (r.state >= 5 OR j.cancel_requested)
    RETURNING j.*, r.o, CASE WHEN r.state >= 5 THEN r.state ELSE 6::smallint END AS to_state, r.uncounted, r.crashed,
      r.delay, r.error AS new_error, r.result
  ), back AS (
    UPDATE job AS j SET state = CASE WHEN r.state <> 2 AND coalesce(r.delay, 0) <= 0 THEN 2 ELSE r.state END, token = 0,
      run_at = CASE WHEN r.delay IS NULL THEN j.run_at ELSE t + greatest(r.delay, 0) * interval '1 microsecond' END,
      attempt = j.attempt - r.uncounted, crashes = j.crashes + r.crashed, error = coalesce(r.error, j.error),
      deadline = NULL
    FROM r
    WHERE j.id = r.id AND j.token = r.token AND j.attempt = r.attempt AND j.state = 3
      AND j.incarnation = coalesce(of_incarnation, j.incarnation) AND r.state < 5 AND NOT j.cancel_requested
    RETURNING j.queue, j.priority, j.run, j.state AS to_state, r.o, r.token, j.id, j.run_at, j.partition_key
  ), history AS (
    INSERT INTO job_history
    SELECT id, CASE WHEN delay IS NULL THEN run_at ELSE t + greatest(delay, 0) * interval '1 microsecond' END, created_at,
           started_at, t, incarnation, run, timeout, progress, attempt - uncounted, max_attempts, crashes + crashed,
           max_crashes, priority, to_state, queue, kind, partition_key, unique_key, tags, args, result,
           coalesce(new_error, error), progress_message
    FROM gone WHERE to_state <> 7
  ), dead AS (
    INSERT INTO dead_letter
    SELECT id, run_at, created_at, started_at, t, incarnation, run, timeout, progress, attempt - uncounted,
           max_attempts, crashes + crashed, max_crashes, priority, to_state, queue, kind, partition_key, unique_key, tags,
           args, result, coalesce(new_error, error), progress_message
    FROM gone WHERE to_state = 7
  ), ended AS (
    SELECT queue, priority, run, to_state, o, token, NULL::bigint AS id, NULL::timestamptz AS run_at, partition_key
    FROM gone UNION ALL SELECT * FROM back
  )
  SELECT array_agg(queue) AS queues, array_agg(priority) AS priorities, array_agg(run) AS runs,
         array_agg(to_state) AS states, array_agg(o) AS ords, array_agg(token) AS tokens, array_agg(id) AS ids,
         array_agg(run_at) AS run_ats, array_agg(partition_key) AS keys
  INTO ended FROM ended;
  IF ended.ords IS NULL THEN RETURN array_fill(false, ARRAY[n]); END IF;
  PERFORM count_ended(ended.queues, ended.priorities, ended.states, ended.runs, ended.tokens);
  IF partitioned THEN
    UPDATE partition AS p SET running = running - k.n, holder = CASE WHEN running > k.n THEN holder ELSE 0 END
    FROM (SELECT key, count(*) AS n FROM unnest(ended.keys) AS key WHERE key IS NOT NULL GROUP BY key) AS k
    WHERE p.key = k.key;
    PERFORM announce_partitions(array_agg(q), array_agg(p), array_agg(k), array_agg(at), array_agg(i))
    FROM unnest(ended.queues, ended.priorities, ended.keys, ended.run_ats, ended.ids) AS j (q, p, k, at, i)
    WHERE k IS NOT NULL AND i IS NOT NULL HAVING count(*) > 0;
    PERFORM wake_idle(array_agg(q), array_agg(p))
    FROM unnest(ended.queues, ended.priorities, ended.keys) AS j (q, p, k) WHERE k IS NOT NULL HAVING count(*) > 0;
  END IF;
  IF EXISTS (SELECT FROM unnest(ended.ids) AS i WHERE i IS NOT NULL)
     OR EXISTS (SELECT FROM queue WHERE name = ANY (ended.queues) AND concurrency IS NOT NULL) THEN
    PERFORM wake_idle(ended.queues, ended.priorities);
  END IF;
  IF cardinality(ended.ords) = n THEN RETURN array_fill(true, ARRAY[n]); END IF;
  RETURN ARRAY(SELECT o = ANY (ended.ords) FROM generate_series(1, n) AS o ORDER BY o);
END $$;

-- Counts jobs out of running, and out of their leases.
CREATE OR REPLACE FUNCTION @schema@.count_ended(queues text[], priorities smallint[], states smallint[], runs bigint[],
                                                tokens bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off AS $$
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
-- Runs that may be over come back with the answer, for advance_run to look at after the commit.
CREATE OR REPLACE FUNCTION @schema@.report(
  worker_id text, of_incarnation bigint, ids bigint[], attempts int[], tokens bigint[], to_states smallint[],
  delays bigint[], uncounted int[], outcomes text[], errors text[], results text[], discovered boolean[],
  emit_of int[], kinds text[], argss text[], queues text[], priorities smallint[], run_ats timestamptz[],
  emit_delays bigint[], max_attemptss int[], max_crashess int[], timeouts bigint[], partition_keys text[],
  unique_keys text[], tagss text[],
  OUT accepted boolean[], OUT finished_runs bigint[])
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  run_of bigint[];
BEGIN
  IF NOT EXISTS (SELECT FROM worker WHERE incarnation = of_incarnation AND id = worker_id AND state <> 2
                 AND NOT superseded) THEN
    accepted := array_fill(false, ARRAY[cardinality(ids)]);
    RETURN;
  END IF;
  IF EXISTS (SELECT FROM run WHERE state = 0) THEN
    run_of := ARRAY(SELECT (SELECT j.run FROM job AS j WHERE j.id = i) FROM unnest(ids) WITH ORDINALITY AS r (i, o)
                    ORDER BY o);
  END IF;
  accepted := end_attempts(of_incarnation, ids, attempts, tokens, to_states, delays, uncounted,
                           array_fill(0, ARRAY[cardinality(ids)]), outcomes, errors, results);
  IF cardinality(emit_of) > 0 THEN
    PERFORM insert_jobs(array_agg(k ORDER BY o), array_agg(a ORDER BY o), array_agg(q ORDER BY o), array_agg(p ORDER BY o),
                        array_agg(at ORDER BY o), array_agg(d ORDER BY o), array_agg(ma ORDER BY o),
                        array_agg(mc ORDER BY o), array_agg(tmo ORDER BY o), array_agg(pk ORDER BY o),
                        array_agg(uk ORDER BY o), array_agg(coalesce(run_of[e], 0) ORDER BY o), array_agg(tg ORDER BY o), NULL, false)
    FROM unnest(emit_of, kinds, argss, queues, priorities, run_ats, emit_delays, max_attemptss, max_crashess, timeouts,
                partition_keys, unique_keys, tagss) WITH ORDINALITY
      AS j (e, k, a, q, p, at, d, ma, mc, tmo, pk, uk, tg, o)
    WHERE accepted[e] HAVING count(*) > 0;
  END IF;
  IF run_of IS NULL THEN RETURN; END IF;
  IF true = ANY (discovered) THEN
    UPDATE run SET discovery_done = true
    WHERE NOT discovery_done AND id IN (SELECT run_of[o] FROM generate_subscripts(ids, 1) AS o
                                        WHERE accepted[o] AND discovered[o] AND to_states[o] = 5);
  END IF;
  finished_runs := ARRAY(
    SELECT id FROM run WHERE state = 0 AND discovery_done
      AND id IN (SELECT run_of[o] FROM generate_subscripts(ids, 1) AS o WHERE accepted[o] AND to_states[o] >= 5));
END $$;

-- Enqueues for a running attempt, if its lease is current; MR003 else.
CREATE OR REPLACE FUNCTION @schema@.emit_jobs(
  worker_id text, of_incarnation bigint, job_id bigint, of_attempt int, of_token bigint,
  kinds text[], argss text[], queues text[], priorities smallint[], run_ats timestamptz[], delays bigint[],
  max_attemptss int[], max_crashess int[], timeouts bigint[], partition_keys text[], unique_keys text[], tagss text[])
RETURNS TABLE (id bigint, duplicate boolean)
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
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
  RETURN QUERY SELECT * FROM insert_jobs(kinds, argss, queues, priorities, run_ats, delays, max_attemptss, max_crashess,
    timeouts, partition_keys, unique_keys, array_fill(coalesce(emitter.run, 0), ARRAY[cardinality(kinds)]), tagss, NULL, false);
END $$;
