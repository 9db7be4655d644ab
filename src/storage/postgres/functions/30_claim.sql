-- Claim: which jobs go next, and their lease. One lane without limits is claimed in one call. Otherwise claim() only shows
-- candidates, the engine deals the turns between lanes, and claim_plan() takes what it chose, checking again under
-- locks. No claim waits for a lock: what somebody else holds is passed over.

-- Every lane with jobs that wait, by skipping through the indexes. partitioned: its jobs have partition keys. (PL/pgSQL
-- here and below for a single query: it keeps the plan, SQL functions are planned at every call.)
CREATE OR REPLACE FUNCTION @schema@.lanes() RETURNS TABLE (queue text, priority smallint, partitioned boolean)
LANGUAGE plpgsql STABLE SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH RECURSIVE plain (queue, priority) AS (
    (SELECT queue, priority FROM job WHERE state IN (1, 2, 4) AND partition_key IS NULL
     ORDER BY queue, priority LIMIT 1)
    UNION ALL
    SELECT n.queue, n.priority FROM plain AS l, LATERAL (
      SELECT j.queue, j.priority FROM job AS j WHERE j.state IN (1, 2, 4) AND j.partition_key IS NULL
        AND (j.queue, j.priority) > (l.queue, l.priority)
      ORDER BY j.queue, j.priority LIMIT 1) AS n
  ), keyed (queue, priority) AS (
    (SELECT queue, priority FROM partition_lane ORDER BY queue, priority LIMIT 1)
    UNION ALL
    SELECT n.queue, n.priority FROM keyed AS l, LATERAL (
      SELECT j.queue, j.priority FROM partition_lane AS j WHERE (j.queue, j.priority) > (l.queue, l.priority)
      ORDER BY j.queue, j.priority LIMIT 1) AS n
  )
  SELECT queue, priority, false FROM plain UNION ALL SELECT queue, priority, true FROM keyed;
END $$;

CREATE OR REPLACE FUNCTION @schema@.check_worker(worker_id text, of_incarnation bigint) RETURNS void
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM worker WHERE incarnation = of_incarnation AND id = worker_id AND state <> 2
                 AND NOT superseded) THEN
    RAISE EXCEPTION 'worker % incarnation % is not registered any more (stopped, or started again elsewhere under the same id)',
      worker_id, of_incarnation USING ERRCODE = 'MR003';
  END IF;
END $$;

-- Marks ready jobs, whose rows the caller has locked, as running under a new lease, and returns them.
CREATE OR REPLACE FUNCTION @schema@.start_jobs(rows tid[], of_incarnation bigint, claim_no bigint, claim_timeout bigint,
                                               partitioned boolean, t timestamptz) RETURNS SETOF @schema@.claim_row
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
  kinds jsonb := (SELECT timeouts FROM worker WHERE incarnation = of_incarnation);
  -- Odd tokens tell reports that partitions are to be given back.
  new_token bigint := nextval('@schema@.lease_token') * 2 + partitioned::int;
BEGIN
  RETURN QUERY
  WITH started AS (
    UPDATE job SET state = 3, attempt = attempt + 1, token = new_token, incarnation = of_incarnation, started_at = t,
      progress = NULL, progress_message = NULL,
      deadline = t + coalesce(nullif(timeout, 0), (kinds ->> kind)::bigint, claim_timeout) * interval '1 microsecond'
    WHERE ctid = ANY (rows)
    RETURNING *
  ), leased AS (
    INSERT INTO lease (token, incarnation, deadline, claim, open, jobs)
    SELECT new_token, of_incarnation, min(deadline), claim_no, count(*), array_agg(id) FROM started HAVING count(*) > 0
  )
  SELECT 1::smallint, id, run_at, created_at, t, new_token, run, timeout, attempt, max_attempts, crashes, priority,
         queue, kind, partition_key, unique_key, to_json(tags)::text, args::text
  FROM started ORDER BY run_at, id;
END $$;

-- Counts claimed jobs out of the states they waited in.
CREATE OR REPLACE FUNCTION @schema@.count_started(queues text[], priorities smallint[], states smallint[], runs bigint[])
RETURNS void
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog AS $$
BEGIN
  INSERT INTO queue_change
  SELECT q, p, 0, -count(*) FILTER (WHERE s = 1), -count(*) FILTER (WHERE s = 2), count(*),
         -count(*) FILTER (WHERE s = 4), 0, 0, 0
  FROM unnest(queues, priorities, states) AS j (q, p, s) GROUP BY q, p;
  IF EXISTS (SELECT FROM unnest(runs) AS r WHERE r IS NOT NULL) THEN
    INSERT INTO run_change
    SELECT r, 0, -count(*) FILTER (WHERE s = 1), -count(*) FILTER (WHERE s = 2), count(*),
           -count(*) FILTER (WHERE s = 4), 0, 0, 0
    FROM unnest(runs, states) AS j (r, s) WHERE r IS NOT NULL GROUP BY r;
  END IF;
END $$;

-- most_held: at most so many of partitions, or of queues with limits. spare_keys: show so many partitions more than that,
-- for a worker that found too many of the first ones taken: all who claim at once choose the same. near_queue,
-- near_priority, near_run_at: where a busy worker's last claim ended, or NULL: the claim goes on from there, past what is
-- dead in the index before it, and looks at all lanes only when that does not fill it. The caller looks at all of them
-- again soon, for what came in before.
CREATE OR REPLACE FUNCTION @schema@.claim(worker_id text, of_incarnation bigint, most int, most_held int,
                                          of_queues text[], of_priorities smallint[], claim_timeout bigint,
                                          near_queue text, near_priority smallint, near_run_at timestamptz,
                                          claim_no bigint, spare_keys int)
RETURNS SETOF @schema@.claim_row
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
  t timestamptz := clock();
  lane record;
  the_queue text;
  the_priority smallint;
  rows tid[];
  queues text[];
  priorities smallint[];
  states smallint[];
  runs bigint[];
  lanes_seen int := 0;
  mixed boolean := false;
BEGIN
  PERFORM check_worker(worker_id, of_incarnation);
  IF most <= 0 THEN
    RETURN QUERY SELECT r.* FROM nothing_claimed(t) AS r;
    RETURN;
  END IF;
  IF near_queue IS NOT NULL AND NOT EXISTS (
      SELECT FROM queue WHERE name = near_queue AND (paused OR concurrency IS NOT NULL OR rate_limit IS NOT NULL)) THEN
    SELECT array_agg(ctid), array_agg(queue), array_agg(priority), array_agg(state), array_agg(run)
    INTO rows, queues, priorities, states, runs
    FROM (SELECT ctid, queue, priority, state, run FROM job
          WHERE state IN (1, 2, 4) AND partition_key IS NULL AND queue = near_queue AND priority = near_priority
            AND run_at >= near_run_at AND run_at <= t
          ORDER BY queue, priority, run_at, id LIMIT most FOR UPDATE SKIP LOCKED) AS ready;
    IF cardinality(rows) = most THEN
      PERFORM count_started(queues, priorities, states, runs);
      RETURN QUERY SELECT * FROM start_jobs(rows, of_incarnation, claim_no, claim_timeout, false, t);
      RETURN;
    END IF;
  END IF;
  FOR lane IN
    SELECT l.queue, l.priority, l.partitioned OR q.concurrency IS NOT NULL OR q.rate_limit IS NOT NULL AS held
    FROM lanes() AS l LEFT JOIN queue AS q ON q.name = l.queue
    WHERE (of_queues IS NULL OR l.queue = ANY (of_queues)) AND l.priority = ANY (of_priorities)
      AND q.paused IS NOT TRUE
      AND CASE WHEN l.partitioned
            THEN EXISTS (SELECT FROM partition_lane AS j WHERE j.queue = l.queue AND j.priority = l.priority
                         AND j.run_at <= t)
            ELSE EXISTS (SELECT FROM job AS j WHERE j.state IN (1, 2, 4) AND j.partition_key IS NULL
                         AND j.queue = l.queue AND j.priority = l.priority AND j.run_at <= t)
          END
  LOOP
    lanes_seen := lanes_seen + 1;
    mixed := mixed OR lane.held OR lanes_seen > 1;
    the_queue := lane.queue;
    the_priority := lane.priority;
  END LOOP;
  IF mixed THEN
    RETURN QUERY SELECT * FROM candidates(of_incarnation, most, most_held, spare_keys, of_queues, of_priorities, t);
    RETURN;
  END IF;
  IF lanes_seen = 1 THEN
    SELECT array_agg(ctid), array_agg(queue), array_agg(priority), array_agg(state), array_agg(run)
    INTO rows, queues, priorities, states, runs
    FROM (SELECT ctid, queue, priority, state, run FROM job
          WHERE state IN (1, 2, 4) AND partition_key IS NULL AND queue = the_queue AND priority = the_priority
            AND run_at <= t
          ORDER BY queue, priority, run_at, id LIMIT most FOR UPDATE SKIP LOCKED) AS ready;
    IF rows IS NOT NULL THEN
      PERFORM count_started(queues, priorities, states, runs);
      RETURN QUERY SELECT * FROM start_jobs(rows, of_incarnation, claim_no, claim_timeout, false, t);
      RETURN;
    END IF;
  END IF;
  RETURN QUERY SELECT r.* FROM nothing_claimed(t) AS r;
END $$;

CREATE OR REPLACE FUNCTION @schema@.nothing_claimed(t timestamptz) RETURNS @schema@.claim_row
LANGUAGE sql STABLE SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
  SELECT 0::smallint, NULL::bigint,
    -- When something becomes ready by itself: a job is due, or a rate limit has a token again.
    least((SELECT min(run_at) FROM job WHERE state IN (1, 4) AND run_at > t),
          (SELECT min(t + (1 - tokens) / rate_limit * interval '1 second' + interval '1 microsecond') FROM queue
           WHERE rate_limit > 0 AND tokens >= 0 AND tokens < 1)),
    t, NULL::timestamptz, NULL::bigint, NULL::bigint, NULL::bigint, NULL::int, NULL::int, NULL::int,
    NULL::smallint, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text
$$;

-- A queue's rate limit at t, in whole tokens, or NULL without one; see src/engine/token_bucket.h.
CREATE OR REPLACE FUNCTION @schema@.refilled(q @schema@.queue, t timestamptz) RETURNS float8
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN q.rate_limit IS NULL THEN NULL
    WHEN q.tokens < 0 THEN greatest(q.rate_limit, 1)
    ELSE least(greatest(q.rate_limit, 1),
               q.tokens + q.rate_limit * greatest(extract(epoch FROM t - q.refilled_at)::float8, 0)) END
$$;

-- How many jobs a queue with limits may still give.
CREATE OR REPLACE FUNCTION @schema@.queue_room(q @schema@.queue, t timestamptz) RETURNS bigint
LANGUAGE sql STABLE SET search_path = @schema@, pg_catalog AS $$
  SELECT greatest(0, least(q.concurrency - queue_running(q.name), floor(refilled(q, t) + 1e-9)::bigint))
$$;

-- What a claim could take, in each lane at most what it asks for and the first jobs of spare partitions, without locking
-- anything.
CREATE OR REPLACE FUNCTION @schema@.candidates(of_incarnation bigint, most int, most_held int, spare_keys int,
                                               of_queues text[], of_priorities smallint[], t timestamptz)
RETURNS TABLE (step smallint, id bigint, run_at timestamptz, created_at timestamptz, started_at timestamptz,
  token bigint, run bigint, timeout bigint, attempt int, max_attempts int, crashes int, priority smallint, queue text,
  kind text, partition_key text, unique_key text, tags text, args text)
LANGUAGE plpgsql VOLATILE SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH lane AS MATERIALIZED (
    SELECT l.* FROM lanes() AS l LEFT JOIN queue AS q ON q.name = l.queue
    WHERE (of_queues IS NULL OR l.queue = ANY (of_queues)) AND l.priority = ANY (of_priorities) AND q.paused IS NOT TRUE
  ), plain AS (
    SELECT j.* FROM lane AS l, LATERAL (
      SELECT j.id, j.run_at, j.queue, j.priority FROM job AS j
      WHERE j.state IN (1, 2, 4) AND j.partition_key IS NULL AND j.queue = l.queue AND j.priority = l.priority
        AND j.run_at <= t
      ORDER BY j.queue, j.priority, j.run_at, j.id LIMIT most) AS j
    WHERE NOT l.partitioned
  ), free AS (
    SELECT l.queue, l.priority, k.key, k.nth FROM lane AS l, LATERAL (
      SELECT h.key, row_number() OVER (ORDER BY h.queue, h.priority, h.run_at, h.job) AS nth
      FROM partition_lane AS h JOIN partition AS p ON p.key = h.key
      WHERE h.queue = l.queue AND h.priority = l.priority AND h.run_at <= t AND p.holder IN (0, of_incarnation)
        -- Not EXISTS: without statistics the planner would join, by looking through the whole lane for each key.
        AND (SELECT true FROM job AS j
             WHERE j.state IN (1, 2, 4) AND j.partition_key = h.key AND j.queue = h.queue AND j.priority = h.priority
               AND j.run_at <= t ORDER BY j.partition_key, j.queue, j.priority, j.run_at, j.id LIMIT 1)
      ORDER BY h.queue, h.priority, h.run_at, h.job LIMIT most_held + spare_keys) AS k
    WHERE l.partitioned AND most_held > 0
  ), keyed AS (
    SELECT j.* FROM free AS f, LATERAL (
      SELECT j.id, j.run_at, j.queue, j.priority, j.partition_key FROM job AS j
      WHERE j.state IN (1, 2, 4) AND j.partition_key = f.key AND j.queue = f.queue AND j.priority = f.priority
        AND j.run_at <= t
      ORDER BY j.partition_key, j.queue, j.priority, j.run_at, j.id
      LIMIT CASE WHEN f.nth <= most_held THEN most_held ELSE 1 END) AS j
  ), chosen AS (
    SELECT id, run_at, queue, priority, NULL::text AS partition_key FROM plain UNION ALL SELECT * FROM keyed
  )
  SELECT 4::smallint, NULL::bigint, t, NULL::timestamptz, NULL::timestamptz, NULL::bigint, NULL::bigint, NULL::bigint,
         NULL::int, NULL::int, NULL::int, NULL::smallint, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text,
         NULL::text
  UNION ALL
  SELECT 3::smallint, queue_room(q, t), NULL::timestamptz, NULL::timestamptz, NULL::timestamptz, NULL::bigint,
         NULL::bigint, NULL::bigint, NULL::int, NULL::int, NULL::int, NULL::smallint, q.name::text, NULL::text,
         NULL::text, NULL::text, NULL::text, NULL::text
  FROM queue AS q WHERE (q.concurrency IS NOT NULL OR q.rate_limit IS NOT NULL)
    AND q.name IN (SELECT queue FROM lane)
  UNION ALL
  (SELECT 2::smallint, id, run_at, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, priority, queue, NULL,
          partition_key, NULL, NULL, NULL
   FROM chosen ORDER BY queue, priority, run_at, id);
END $$;

-- Moves a partition's position in a lane on to its first job that waits, if no producer of the key is under way.
CREATE OR REPLACE FUNCTION @schema@.advance_lane(of_queue text, of_priority smallint, of_key text) RETURNS void
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
  first record;
BEGIN
  IF NOT pg_try_advisory_xact_lock_shared(hashtextextended('@schema@ partitions', 0)) THEN RETURN; END IF;
  IF NOT pg_try_advisory_xact_lock(partition_lock(of_key)) THEN RETURN; END IF;
  -- A statement after the lock: it sees all that producers of the key have committed.
  SELECT j.run_at, j.id INTO first FROM job AS j
  WHERE j.state IN (1, 2, 4) AND j.partition_key = of_key AND j.queue = of_queue AND j.priority = of_priority
  ORDER BY j.partition_key, j.queue, j.priority, j.run_at, j.id LIMIT 1;
  IF first.id IS NULL THEN
    DELETE FROM partition_lane WHERE queue = of_queue AND priority = of_priority AND key = of_key;
  ELSE
    UPDATE partition_lane SET run_at = first.run_at, job = first.id
    WHERE queue = of_queue AND priority = of_priority AND key = of_key
      AND (run_at, job) IS DISTINCT FROM (first.run_at, first.id);
  END IF;
END $$;

-- Takes what the engine chose among candidates: up to quotas[i] plain jobs of each lane, and the partitioned jobs `ids` in
-- this order, as far as limits, partitions and other claims still allow. spares: partitioned jobs of other partitions, in
-- order, of which as many are taken as partitions of `ids` have gone to others meanwhile.
CREATE OR REPLACE FUNCTION @schema@.claim_plan(worker_id text, of_incarnation bigint, lane_queues text[],
                                               lane_priorities smallint[], quotas int[], ids bigint[],
                                               claim_timeout bigint, claim_no bigint,
                                               spares bigint[]) RETURNS SETOF @schema@.claim_row
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
  t timestamptz := clock();
  q queue;
  room bigint;
  rooms jsonb := '{}'; -- what each limited queue may still give; absent: no limit
  more record;
  rows tid[] := '{}';
  queues text[] := '{}';
  priorities smallint[] := '{}';
  states smallint[] := '{}';
  runs bigint[] := '{}';
  keys text[];
  locked text[] := '{}';
  most int := cardinality(ids);
  most_keys int := (SELECT count(DISTINCT partition_key) FROM job WHERE id = ANY (ids));
BEGIN
  PERFORM check_worker(worker_id, of_incarnation);
  ids := ids || spares;
  FOR q IN
    SELECT * FROM queue WHERE (concurrency IS NOT NULL OR rate_limit IS NOT NULL)
      AND (name = ANY (lane_queues) OR name IN (SELECT j.queue FROM job AS j WHERE j.id = ANY (ids)))
    ORDER BY name
  LOOP
    -- Claims of a limited queue take turns, so that its count is exact; the look comes after the lock.
    room := 0;
    PERFORM FROM queue WHERE name = q.name FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
      SELECT queue_room(l, t) INTO room FROM queue AS l WHERE l.name = q.name;
    END IF;
    rooms := rooms || jsonb_build_object(q.name, room);
  END LOOP;
  FOR i IN 1 .. coalesce(cardinality(lane_queues), 0) LOOP
    SELECT array_agg(ctid) AS ctids, array_agg(queue) AS qs, array_agg(priority) AS ps, array_agg(state) AS ss,
           array_agg(run) AS rs, count(*) AS n INTO more
    FROM (SELECT ctid, queue, priority, state, run FROM job
          WHERE state IN (1, 2, 4) AND partition_key IS NULL AND queue = lane_queues[i]
            AND priority = lane_priorities[i] AND run_at <= t
          ORDER BY queue, priority, run_at, id
          LIMIT least(quotas[i], coalesce((rooms ->> lane_queues[i])::bigint, quotas[i])) FOR UPDATE SKIP LOCKED) AS ready;
    CONTINUE WHEN more.n = 0;
    rows := rows || more.ctids;
    queues := queues || more.qs;
    priorities := priorities || more.ps;
    states := states || more.ss;
    runs := runs || more.rs;
    IF rooms ? lane_queues[i] THEN
      rooms := rooms || jsonb_build_object(lane_queues[i], (rooms ->> lane_queues[i])::bigint - more.n);
    END IF;
  END LOOP;
  IF cardinality(ids) > 0 THEN
    keys := ARRAY(SELECT partition_key FROM job WHERE id = ANY (ids) AND partition_key IS NOT NULL
                  GROUP BY partition_key ORDER BY min(array_position(ids, id)));
    -- In the order of choice, since nobody waits here; those after the last one needed stay free for others.
    locked := ARRAY(SELECT key FROM partition WHERE key = ANY (keys) AND holder IN (0, of_incarnation)
                    ORDER BY array_position(keys, key) LIMIT most_keys FOR UPDATE SKIP LOCKED);
    SELECT array_agg(ctid) AS ctids, array_agg(queue) AS qs, array_agg(priority) AS ps, array_agg(state) AS ss,
           array_agg(run) AS rs, count(*) AS n INTO more
    FROM (SELECT j.ctid, j.queue, j.priority, j.state, j.run,
                 row_number() OVER (PARTITION BY j.queue ORDER BY array_position(ids, j.id)) AS nth
          FROM (SELECT ctid, * FROM job WHERE id = ANY (ids) AND partition_key = ANY (locked) AND state IN (1, 2, 4)
                  AND run_at <= t ORDER BY array_position(ids, id) LIMIT most FOR UPDATE SKIP LOCKED) AS j) AS ready
    WHERE nth <= coalesce((rooms ->> queue)::bigint, nth);
    IF more.n > 0 THEN
      UPDATE partition AS p SET holder = of_incarnation, epoch = epoch + (holder <> of_incarnation)::int,
        running = running + taken.n
      FROM (SELECT partition_key, count(*) AS n FROM job WHERE ctid = ANY (more.ctids) GROUP BY partition_key) AS taken
      WHERE p.key = taken.partition_key;
      rows := rows || more.ctids;
      queues := queues || more.qs;
      priorities := priorities || more.ps;
      states := states || more.ss;
      runs := runs || more.rs;
    END IF;
  END IF;
  UPDATE queue AS q SET tokens = refilled(q, t) - taken.n, refilled_at = greatest(refilled_at, t)
  FROM (SELECT name, count(*) AS n FROM unnest(queues) AS name GROUP BY name) AS taken
  WHERE q.name = taken.name AND q.rate_limit IS NOT NULL;
  IF cardinality(rows) > 0 THEN
    PERFORM count_started(queues, priorities, states, runs);
    RETURN QUERY SELECT * FROM start_jobs(rows, of_incarnation, claim_no, claim_timeout, cardinality(locked) > 0, t);
  END IF;
  IF cardinality(locked) > 0 THEN
    -- Where jobs left, or all of them when what was chosen is not there any more.
    PERFORM advance_lane(queue, priority, key) FROM partition_lane WHERE key = ANY (locked) AND run_at <= t
      AND (cardinality(rows) = 0 OR (queue, priority) IN (SELECT * FROM unnest(queues, priorities)));
  END IF;
  IF cardinality(rows) = 0 THEN RETURN QUERY SELECT r.* FROM nothing_claimed(t) AS r; END IF;
END $$;
