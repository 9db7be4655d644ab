-- Enqueue: everything is checked first, so that a refusal costs nothing; then inserted.

-- The advisory lock of a partition's key: producers share it to their commit, see partition_lane.
CREATE OR REPLACE FUNCTION @schema@.partition_lock(key text) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$ SELECT hashtextextended('@schema@ partition ' || key, 0) $$;

-- Makes ready jobs of partitions known to claims: a position for each lane and key, never behind its first job.
CREATE OR REPLACE FUNCTION @schema@.announce_partitions(queues text[], priorities smallint[], keys text[],
                                                        run_ats timestamptz[], ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
BEGIN
  -- Of all transactions together the server has room for some thousands of locks. So for very many keys, one lock that
  -- stands for all keys: see advance_lane.
  IF (SELECT count(DISTINCT k) FROM unnest(keys) AS k) > 1000 THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('@schema@ partitions', 0));
  ELSE
    PERFORM pg_advisory_xact_lock_shared(lock)
    FROM (SELECT DISTINCT partition_lock(k) AS lock FROM unnest(keys) AS k ORDER BY 1) AS locks;
  END IF;
  INSERT INTO partition (key)
  SELECT DISTINCT k FROM unnest(keys) AS k ORDER BY 1 ON CONFLICT DO NOTHING;
  INSERT INTO partition_lane (queue, priority, key, run_at, job)
  SELECT DISTINCT ON (q, p, k) q, p, k, at, i
  FROM unnest(queues, priorities, keys, run_ats, ids) AS r (q, p, k, at, i)
  ORDER BY q, p, k, at, i
  ON CONFLICT DO NOTHING;
  -- A statement of its own: unlike ON CONFLICT DO UPDATE it locks only the rows it changes, which are rare.
  UPDATE partition_lane AS l SET run_at = r.at, job = r.i
  FROM (SELECT DISTINCT ON (q, p, k) q, p, k, at, i
        FROM unnest(queues, priorities, keys, run_ats, ids) AS r (q, p, k, at, i)
        ORDER BY q, p, k, at, i) AS r
  WHERE l.queue = r.q AND l.priority = r.p AND l.key = r.k AND (r.at, r.i) < (l.run_at, l.job);
END $$;

-- The priority each job is enqueued with: a full queue rejects (MR001) or spills. Counts are exact, since producers of a
-- limited queue take turns until they commit.
CREATE OR REPLACE FUNCTION @schema@.place_jobs(queues text[], priorities smallint[], unique_keys text[],
                                               default_capacity bigint[]) RETURNS smallint[]
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog AS $$
DECLARE
  placed smallint[] := priorities;
  added jsonb := '{}';
  seen jsonb := '{}';
  room bigint;
  waiting bigint;
  lane text;
  spill smallint;
  q queue;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('@schema@ capacity ' || name, 0))
  FROM (SELECT DISTINCT name FROM unnest(queues) AS name ORDER BY 1) AS names;
  FOR i IN 1 .. cardinality(queues) LOOP
    IF unique_keys[i] IS NOT NULL THEN -- a duplicate takes no room
      CONTINUE WHEN seen ? unique_keys[i] OR EXISTS (SELECT FROM job WHERE unique_key = unique_keys[i]);
      seen := seen || jsonb_build_object(unique_keys[i], true);
    END IF;
    SELECT * INTO q FROM queue WHERE name = queues[i];
    room := coalesce(q.capacity, default_capacity[priorities[i] + 1]);
    CONTINUE WHEN room IS NULL;
    lane := priorities[i] || ' ' || queues[i];
    IF NOT added ? lane THEN
      added := added || jsonb_build_object(lane, lane_depth(queues[i], priorities[i]));
    END IF;
    waiting := (added ->> lane)::bigint;
    IF waiting >= room THEN
      spill := coalesce(q.spill_to, 4);
      IF coalesce(q.overflow, 0) <> 2 OR spill = priorities[i] THEN
        RAISE EXCEPTION 'queue ''%'' is full: % jobs of priority % wait, its capacity is %', queues[i], waiting,
          (ARRAY['critical', 'high', 'default', 'low', 'bulk'])[priorities[i] + 1], room
          USING ERRCODE = 'MR001', HINT = 'try again later, or raise the capacity';
      END IF;
      placed[i] := spill;
      lane := spill || ' ' || queues[i];
      IF NOT added ? lane THEN
        added := added || jsonb_build_object(lane, lane_depth(queues[i], spill));
      END IF;
    END IF;
    added := added || jsonb_build_object(lane, (added ->> lane)::bigint + 1);
  END LOOP;
  RETURN placed;
END $$;

-- Inserts jobs, whole columns at a time; a run of 0 is none. `limited`: capacities hold, and runs must be active. Ids come in the order of
-- the arrays; a duplicate is the unfinished job that has the unique key. naming, needs, policies: who waits for whom, see
-- link_jobs; NULL when nobody does.
CREATE OR REPLACE FUNCTION @schema@.insert_jobs(
  kinds text[], argss text[], queues text[], priorities smallint[], run_ats timestamptz[], delays bigint[],
  max_attemptss int[], max_crashess int[], timeouts bigint[], partition_keys text[], unique_keys text[],
  runs bigint[], tagss text[], default_capacity bigint[], limited boolean,
  naming int[] DEFAULT NULL, needs bigint[] DEFAULT NULL, policies smallint[] DEFAULT NULL)
RETURNS TABLE (id bigint, duplicate boolean)
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
  n int := cardinality(kinds);
  t timestamptz := clock();
  ids bigint[];
  ats timestamptz[];
  fresh bigint[];
  has_unique boolean := EXISTS (SELECT FROM unnest(unique_keys) AS k WHERE k IS NOT NULL);
  has_partition boolean := EXISTS (SELECT FROM unnest(partition_keys) AS k WHERE k IS NOT NULL);
  missing bigint;
  born bigint[];
  place int;
  waits boolean[];
  named record;
BEGIN
  IF EXISTS (SELECT FROM unnest(runs) AS r WHERE r <> 0) THEN
    runs := ARRAY(SELECT nullif(r, 0) FROM unnest(runs) WITH ORDINALITY AS j (r, o) ORDER BY o);
  ELSE
    runs := array_fill(NULL::bigint, ARRAY[n]);
  END IF;
  IF limited THEN
    SELECT r INTO missing FROM (SELECT DISTINCT r FROM unnest(runs) AS r WHERE r IS NOT NULL ORDER BY 1) AS given
    WHERE NOT EXISTS (SELECT FROM run WHERE run.id = r AND state = 0 FOR KEY SHARE) LIMIT 1;
    IF missing IS NOT NULL THEN
      RAISE EXCEPTION 'run_id: run % is not active', missing USING ERRCODE = 'MR002';
    END IF;
  END IF;
  IF cardinality(naming) > 0 THEN
    named := find_dependencies(naming, needs);
    waits := array_fill(NULL::boolean, ARRAY[n]);
    FOREACH place IN ARRAY naming LOOP waits[place] := true; END LOOP;
  END IF;
  IF limited THEN
    IF default_capacity IS NOT NULL
       OR EXISTS (SELECT FROM queue WHERE capacity IS NOT NULL AND name = ANY (queues)) THEN
      priorities := place_jobs(queues, priorities, unique_keys, default_capacity);
    END IF;
  END IF;
  ids := ARRAY(SELECT nextval('@schema@.job_id') FROM generate_series(1, n));
  IF run_ats IS NULL THEN
    ats := ARRAY(SELECT t FROM generate_series(1, n));
  ELSE
    ats := ARRAY(SELECT greatest(t, coalesce(at, t + coalesce(d, 0) * interval '1 microsecond'))
                 FROM unnest(run_ats, delays) WITH ORDINALITY AS r (at, d, o) ORDER BY o);
  END IF;
  IF NOT has_unique THEN
    INSERT INTO job (id, run_at, created_at, run, timeout, max_attempts, max_crashes, priority, state, queue, kind,
                     partition_key, tags, args)
    SELECT i, at, t, r, tmo, ma, mc, p, CASE WHEN w THEN 0 WHEN at > t THEN 1 ELSE 2 END, q, k, pk,
           CASE WHEN tg IS NOT NULL THEN ARRAY(SELECT json_array_elements_text(tg::json)) END, a::json
    FROM unnest(ids, ats, runs, timeouts, max_attemptss, max_crashess, priorities, queues, kinds, partition_keys, tagss,
                argss, waits) AS j (i, at, r, tmo, ma, mc, p, q, k, pk, tg, a, w);
    fresh := ids;
    RETURN QUERY SELECT i, false FROM unnest(ids) AS i;
  ELSE
    fresh := insert_unique(t, ids, ats, runs, timeouts, max_attemptss, max_crashess, priorities, queues, kinds,
                           partition_keys, unique_keys, tagss, argss, waits);
    born := ids;
    RETURN QUERY SELECT f, f <> i FROM unnest(ids, fresh) WITH ORDINALITY AS r (i, f, o) ORDER BY o;
    -- Of duplicates nothing more is written.
    SELECT array_agg(i ORDER BY o), array_agg(at ORDER BY o), array_agg(r ORDER BY o), array_agg(p ORDER BY o),
           array_agg(q ORDER BY o), array_agg(pk ORDER BY o), array_agg(w ORDER BY o)
    INTO ids, ats, runs, priorities, queues, partition_keys, waits
    FROM unnest(ids, fresh, ats, runs, priorities, queues, partition_keys, waits) WITH ORDINALITY
      AS j (i, f, at, r, p, q, pk, w, o)
    WHERE i = f;
    IF ids IS NULL THEN RETURN; END IF;
  END IF;
  INSERT INTO queue_change
  SELECT q, p, count(*) FILTER (WHERE w), count(*) FILTER (WHERE at > t AND w IS NULL),
         count(*) FILTER (WHERE at <= t AND w IS NULL), 0, 0, 0, 0, 0
  FROM unnest(queues, priorities, ats, waits) AS j (q, p, at, w) GROUP BY q, p;
  IF EXISTS (SELECT FROM unnest(runs) AS r WHERE r IS NOT NULL) THEN
    INSERT INTO run_change
    SELECT r, count(*) FILTER (WHERE w), count(*) FILTER (WHERE at > t AND w IS NULL),
           count(*) FILTER (WHERE at <= t AND w IS NULL), 0, 0, 0, 0, 0
    FROM unnest(runs, ats, waits) AS j (r, at, w) WHERE r IS NOT NULL GROUP BY r;
  END IF;
  IF has_partition THEN
    PERFORM announce_partitions(array_agg(q), array_agg(p), array_agg(k), array_agg(at), array_agg(i))
    FROM unnest(queues, priorities, partition_keys, ats, ids, waits) AS j (q, p, k, at, i, w)
    WHERE k IS NOT NULL AND w IS NULL HAVING count(*) > 0;
  END IF;
  PERFORM wake_idle(queues, priorities);
  IF cardinality(naming) > 0 THEN
    PERFORM link_jobs(coalesce(born, ids), fresh, naming, needs, policies, named.ids, named.states);
  END IF;
END $$;

-- Inserts those whose unique key is free, in the order of keys so that producers cannot wait for each other in a circle;
-- returns each job's id, or that of the job that has its key.
CREATE OR REPLACE FUNCTION @schema@.insert_unique(
  t timestamptz, ids bigint[], ats timestamptz[], runs bigint[], timeouts bigint[], max_attemptss int[],
  max_crashess int[], priorities smallint[], queues text[], kinds text[], partition_keys text[], unique_keys text[],
  tagss text[], argss text[], waits boolean[]) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
  found_ids bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(ids)]);
BEGIN
  -- A holder may finish between the conflict and the look: then the key is free and it is tried again.
  WHILE array_position(found_ids, NULL) IS NOT NULL LOOP
    WITH candidate AS (
      SELECT * FROM unnest(ids, ats, runs, timeouts, max_attemptss, max_crashess, priorities, queues, kinds,
                           partition_keys, unique_keys, tagss, argss, waits, found_ids)
        WITH ORDINALITY AS j (i, at, r, tmo, ma, mc, p, q, k, pk, uk, tg, a, w, f, o)
      WHERE f IS NULL
    ), added AS (
      INSERT INTO job (id, run_at, created_at, run, timeout, max_attempts, max_crashes, priority, state, queue, kind,
                       partition_key, unique_key, tags, args)
      SELECT i, at, t, r, tmo, ma, mc, p, CASE WHEN w THEN 0 WHEN at > t THEN 1 ELSE 2 END, q, k, pk, uk,
             CASE WHEN tg IS NOT NULL THEN ARRAY(SELECT json_array_elements_text(tg::json)) END, a::json
      FROM candidate ORDER BY uk NULLS FIRST, o
      ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL DO NOTHING
      RETURNING id
    )
    SELECT array_agg(coalesce(f, CASE WHEN i IN (SELECT id FROM added) THEN i END) ORDER BY o)
    INTO found_ids FROM unnest(ids, found_ids) WITH ORDINALITY AS j (i, f, o);
    -- The next statement sees what was committed meanwhile, and what was just added.
    SELECT array_agg(coalesce(f, (SELECT id FROM job WHERE unique_key = uk)) ORDER BY o)
    INTO found_ids FROM unnest(found_ids, unique_keys) WITH ORDINALITY AS j (f, uk, o);
  END LOOP;
  RETURN found_ids;
END $$;

-- Tells some idle workers, if there are any that serve these lanes. A payload names who is meant.
CREATE OR REPLACE FUNCTION @schema@.wake_idle(queues text[], priorities smallint[]) RETURNS void
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog AS $$
BEGIN
  -- An older snapshot may not show who is idle now.
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    PERFORM pg_notify('@schema@_work', '');
    RETURN;
  END IF;
  PERFORM pg_notify('@schema@_work', string_agg(incarnation::text, ' '))
  FROM (SELECT incarnation FROM idle_worker AS w
        WHERE (w.queues IS NULL OR w.queues && wake_idle.queues) AND w.priorities && wake_idle.priorities
        ORDER BY random() LIMIT greatest(2, cardinality(wake_idle.queues) / 8)) AS w
  HAVING count(*) > 0;
END $$;
