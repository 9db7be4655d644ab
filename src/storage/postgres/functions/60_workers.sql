-- Workers: a row for each life of a worker, a heartbeat for each interval, never per job.

CREATE OR REPLACE FUNCTION @schema@.register_worker(worker_id text, of_type text, of_host text, of_pid bigint,
                                                    of_slots int, of_timeouts jsonb, kinds text[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog AS $$
DECLARE
  t timestamptz := clock();
  life bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('@schema@ worker ' || worker_id, 0));
  UPDATE worker SET superseded = true WHERE id = worker_id AND NOT superseded RETURNING incarnation INTO life;
  UPDATE leader SET expires_at = least(expires_at, t) WHERE incarnation = life;
  INSERT INTO worker (id, type, host, pid, slots, state, started_at, last_heartbeat, timeouts)
  VALUES (worker_id, of_type, of_host, of_pid, of_slots, 0, t, t, of_timeouts) RETURNING incarnation INTO life;
  INSERT INTO kind (name)
  SELECT k FROM unnest(kinds) AS k WHERE NOT EXISTS (SELECT FROM kind WHERE name = k) ORDER BY 1 ON CONFLICT DO NOTHING;
  RETURN life;
END $$;

-- NULL when the worker was superseded or has stopped; else the jobs it runs that somebody asked to cancel.
CREATE OR REPLACE FUNCTION @schema@.heartbeat(worker_id text, of_incarnation bigint, of_state smallint, ids bigint[],
                                              attempts int[], tokens bigint[], fractions float8[], messages text[])
RETURNS bigint[]
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  patience text := current_setting('lock_timeout');
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true); -- to the end of the transaction: the next heartbeat says the same
  UPDATE worker SET last_heartbeat = clock(), state = of_state
  WHERE incarnation = of_incarnation AND id = worker_id AND state <> 2 AND NOT superseded;
  IF NOT FOUND THEN RETURN NULL; END IF;
  IF cardinality(ids) > 0 THEN
    -- Whoever keeps a lease's row for longer must not make this worker look dead: then this step of progress is untold.
    BEGIN
      PERFORM set_config('lock_timeout', '500ms', true);
      PERFORM FROM lease WHERE token = ANY (tokens) ORDER BY token FOR UPDATE; -- see end_attempts
      UPDATE job AS j SET progress = f.fraction, progress_message = f.message
      FROM (SELECT r.fraction, r.message, j.tid
            FROM unnest(ids, attempts, tokens, fractions, messages) AS r (id, attempt, token, fraction, message),
            LATERAL (SELECT j.ctid AS tid FROM job AS j WHERE j.id = r.id AND j.attempt = r.attempt AND j.token = r.token
                       AND j.incarnation = of_incarnation AND j.state = 3 OFFSET 0) AS j) AS f
      WHERE j.ctid = f.tid;
      PERFORM set_config('lock_timeout', patience, true);
    EXCEPTION WHEN lock_not_available THEN NULL;
    END;
  END IF;
  RETURN ARRAY(SELECT id FROM job WHERE incarnation = of_incarnation AND cancel_requested AND state = 3 ORDER BY id);
END $$;

-- Releases what the worker still holds; not an attempt. Runs that may be over come back.
CREATE OR REPLACE FUNCTION @schema@.stop_worker(worker_id text, of_incarnation bigint) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  held record;
  n int;
BEGIN
  UPDATE worker SET state = 2
  WHERE incarnation = of_incarnation AND id = worker_id AND state <> 2 AND NOT superseded;
  IF NOT FOUND THEN RETURN '{}'; END IF;
  DELETE FROM idle_worker WHERE incarnation = of_incarnation;
  UPDATE leader SET expires_at = least(expires_at, clock()) WHERE incarnation = of_incarnation;
  SELECT array_agg(j.id ORDER BY j.id) AS ids, array_agg(j.attempt ORDER BY j.id) AS attempts,
         array_agg(j.token ORDER BY j.id) AS tokens, array_agg(DISTINCT j.run) AS runs INTO held
  FROM lease AS l, unnest(l.jobs) AS i,
  LATERAL (SELECT j.* FROM job AS j WHERE j.id = i AND j.token = l.token AND j.state = 3 OFFSET 0) AS j
  WHERE l.incarnation = of_incarnation;
  n := coalesce(cardinality(held.ids), 0);
  IF n = 0 THEN RETURN '{}'; END IF;
  PERFORM wake_idle(freed_queues, freed_priorities)
  FROM end_attempts(of_incarnation, held.ids, held.attempts, held.tokens, array_fill(2::smallint, ARRAY[n]),
                    array_fill(-1::bigint, ARRAY[n]), array_fill(1, ARRAY[n]), array_fill(0, ARRAY[n]),
                    array_fill(NULL::text, ARRAY[n]), array_fill(NULL::text, ARRAY[n]), array_fill(NULL::text, ARRAY[n]))
  WHERE freed_queues IS NOT NULL;
  RETURN array_remove(held.runs, NULL) || settled_runs();
END $$;

-- Releases what claims took whose answers never came: the connection was lost, and the transaction may have committed
-- all the same, even later. The worker numbers its claims and names those numbers here until that is past.
CREATE OR REPLACE FUNCTION @schema@.release_lost(of_incarnation bigint, claims bigint[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  held record;
  n int;
BEGIN
  SELECT array_agg(j.id) AS ids, array_agg(j.attempt) AS attempts, array_agg(j.token) AS tokens INTO held
  FROM lease AS l, unnest(l.jobs) AS i,
  LATERAL (SELECT j.* FROM job AS j WHERE j.id = i AND j.token = l.token AND j.state = 3 OFFSET 0) AS j
  WHERE l.incarnation = of_incarnation AND l.claim = ANY (claims);
  n := coalesce(cardinality(held.ids), 0);
  IF n = 0 THEN RETURN 0; END IF;
  PERFORM wake_idle(freed_queues, freed_priorities)
  FROM end_attempts(of_incarnation, held.ids, held.attempts, held.tokens, array_fill(2::smallint, ARRAY[n]),
                    array_fill(-1::bigint, ARRAY[n]), array_fill(1, ARRAY[n]), array_fill(0, ARRAY[n]),
                    array_fill(NULL::text, ARRAY[n]), array_fill(NULL::text, ARRAY[n]), array_fill(NULL::text, ARRAY[n]))
  WHERE freed_queues IS NOT NULL;
  RETURN n;
END $$;

-- Running jobs to be taken back: of workers silent for longer than `stale`, and those past their deadline plus `grace`.
CREATE OR REPLACE FUNCTION @schema@.to_rescue(stale bigint, grace bigint)
RETURNS TABLE (silent boolean, id bigint, attempt int, token bigint, worker text, max_attempts int, crashes int,
               max_crashes int, priority smallint, queue text, cancel_requested boolean, run bigint)
LANGUAGE sql STABLE SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
  WITH t (now) AS MATERIALIZED (SELECT clock()),
  suspect AS MATERIALIZED (
    SELECT l.token, l.jobs, w.id AS worker_id, t.now - w.last_heartbeat > stale * interval '1 microsecond' AS silent, t.now
    FROM t, lease AS l JOIN worker AS w ON w.incarnation = l.incarnation
    WHERE t.now - w.last_heartbeat > stale * interval '1 microsecond'
      OR l.deadline + grace * interval '1 microsecond' < t.now
  ), found AS (
    SELECT j.*, s.worker_id, s.silent
    FROM suspect AS s, unnest(s.jobs) AS i,
    LATERAL (SELECT j.* FROM job AS j WHERE j.id = i AND j.token = s.token AND j.state = 3 OFFSET 0) AS j
    WHERE s.silent OR j.deadline + grace * interval '1 microsecond' < s.now
  )
  SELECT silent, id, attempt, token, worker_id, max_attempts, crashes, max_crashes, priority, queue, cancel_requested, run
  FROM found ORDER BY silent DESC, id
$$;

-- Takes back what to_rescue found, and what the engine made of it, unless a heartbeat came meanwhile. Then: silent workers
-- are lost, leases left behind by their jobs' ends go, and earliest deadlines are those of what still runs. What somebody
-- else has locked (a report that stands still in its transaction, an enqueue that names the job and stays open) is left
-- to a later rescue, so that all others need not wait for it.
CREATE OR REPLACE FUNCTION @schema@.rescue(stale bigint, silent boolean[], ids bigint[], attempts int[], tokens bigint[],
                                           to_states smallint[], delays bigint[], uncounted int[], crashed int[],
                                           outcomes text[], errors text[]) RETURNS boolean[]
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
  t timestamptz;
  accepted boolean[] := '{}';
  freed_queues text[];
  freed_priorities smallint[];
  locked bigint[];
BEGIN
  IF cardinality(ids) > 0 THEN
    locked := ARRAY(SELECT token FROM lease WHERE token = ANY (tokens) ORDER BY token FOR UPDATE SKIP LOCKED);
    t := clock();
    -- Spoil the token of what is locked elsewhere, and of those whose worker has spoken.
    tokens := ARRAY(
      SELECT CASE WHEN NOT k = ANY (locked) THEN -1 WHEN s AND NOT EXISTS (
                 SELECT FROM lease AS l JOIN worker AS w ON w.incarnation = l.incarnation
                 WHERE l.token = k AND t - w.last_heartbeat > stale * interval '1 microsecond') THEN -1 ELSE k END
      FROM unnest(tokens, silent) WITH ORDINALITY AS r (k, s, o) ORDER BY o);
    SELECT e.* INTO accepted, freed_queues, freed_priorities
    FROM end_attempts(NULL, ids, attempts, tokens, to_states, delays, uncounted, crashed, outcomes, errors,
                      array_fill(NULL::text, ARRAY[cardinality(ids)])) AS e;
    IF freed_queues IS NOT NULL THEN PERFORM wake_idle(freed_queues, freed_priorities); END IF;
    UPDATE lease AS l SET deadline = j.deadline
    FROM (SELECT l.token, min(j.deadline) AS deadline
          FROM lease AS l, unnest(l.jobs) AS i,
          LATERAL (SELECT j.deadline FROM job AS j WHERE j.id = i AND j.token = l.token AND j.state = 3 OFFSET 0) AS j
          WHERE l.token = ANY (tokens) GROUP BY l.token) AS j
    WHERE l.token = j.token;
  END IF;
  t := clock();
  -- A row that is locked is that of a worker which speaks just now, and may be waiting for a lease that is locked here.
  UPDATE worker SET state = 3 WHERE incarnation = ANY (ARRAY(
    SELECT incarnation FROM worker
    WHERE state IN (0, 1) AND NOT superseded AND t - last_heartbeat > stale * interval '1 microsecond'
    FOR NO KEY UPDATE SKIP LOCKED));
  DELETE FROM idle_worker AS i USING worker AS w
  WHERE w.incarnation = i.incarnation
    AND (w.state IN (2, 3) OR w.superseded OR t - w.last_heartbeat > stale * interval '1 microsecond');
  RETURN accepted;
END $$;

-- Says that this worker found nothing and wants to be told, and looks once more. fresh: it was not idle before, so
-- producers that looked earlier may not tell it: see settle_idle.
CREATE OR REPLACE FUNCTION @schema@.declare_idle(of_incarnation bigint, of_queues text[], of_priorities smallint[])
RETURNS boolean
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog AS $$
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true); -- to the end of the transaction: a server that forgets this is told
  INSERT INTO idle_worker (incarnation, queues, priorities) VALUES (of_incarnation, of_queues, of_priorities)
  ON CONFLICT DO NOTHING;
  RETURN FOUND;
END $$;

-- Whether a claim might find something now, when something will be due, and whether every transaction that was there when
-- `bound` was taken has ended (bound NULL: takes one). wait: microseconds to due.
CREATE OR REPLACE FUNCTION @schema@.look(of_incarnation bigint, of_queues text[], of_priorities smallint[],
                                         INOUT bound xid8, OUT work boolean, OUT due timestamptz, OUT settled boolean,
                                         OUT wait bigint)
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan
SET jit = off AS $$
#variable_conflict use_column
DECLARE
  t timestamptz := clock();
BEGIN
  IF bound IS NULL THEN bound := pg_current_xact_id(); END IF;
  -- Before the look, which must see what those transactions left.
  settled := pg_snapshot_xmin(pg_current_snapshot()) >= bound;
  work := EXISTS (
    SELECT FROM lanes() AS l LEFT JOIN queue AS q ON q.name = l.queue
    WHERE (of_queues IS NULL OR l.queue = ANY (of_queues)) AND l.priority = ANY (of_priorities)
      AND q.paused IS NOT TRUE
      AND CASE WHEN l.partitioned
            THEN EXISTS (
              SELECT FROM partition_lane AS h JOIN partition AS p ON p.key = h.key
              WHERE h.queue = l.queue AND h.priority = l.priority AND h.run_at <= t AND p.holder IN (0, of_incarnation)
                -- Not EXISTS: see candidates.
                AND (SELECT true FROM job AS j
                     WHERE j.state IN (1, 2, 4) AND j.partition_key = h.key AND j.queue = h.queue
                       AND j.priority = h.priority AND j.run_at <= t
                     ORDER BY j.partition_key, j.queue, j.priority, j.run_at, j.id LIMIT 1))
            ELSE EXISTS (SELECT FROM job AS j WHERE j.state IN (1, 2, 4) AND j.partition_key IS NULL
                         AND j.queue = l.queue AND j.priority = l.priority AND j.run_at <= t)
          END
      AND ((q.concurrency IS NULL AND q.rate_limit IS NULL) OR queue_room(q, t) > 0));
  IF NOT work THEN
    due := (nothing_claimed(t)).run_at;
    wait := extract(epoch FROM due - t) * 1000000;
  END IF;
END $$;
