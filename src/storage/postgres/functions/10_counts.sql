-- Depth of a lane: its jobs that wait for a worker, whatever for.
CREATE OR REPLACE FUNCTION @schema@.lane_depth(of_queue text, of_priority smallint) RETURNS bigint
LANGUAGE sql STABLE SET search_path = @schema@, pg_catalog AS $$
  SELECT coalesce((SELECT s0 + s1 + s2 + s4 FROM queue_count WHERE queue = of_queue AND priority = of_priority), 0)
       + coalesce((SELECT sum(s0 + s1 + s2 + s4) FROM queue_change WHERE queue = of_queue AND priority = of_priority), 0)
$$;

-- Running jobs of a queue, over all workers.
CREATE OR REPLACE FUNCTION @schema@.queue_running(of_queue text) RETURNS bigint
LANGUAGE sql STABLE SET search_path = @schema@, pg_catalog AS $$
  SELECT coalesce((SELECT sum(s3) FROM queue_count WHERE queue = of_queue), 0)::bigint
       + coalesce((SELECT sum(s3) FROM queue_change WHERE queue = of_queue), 0)
$$;

-- Unfinished jobs of a run.
CREATE OR REPLACE FUNCTION @schema@.run_open(of_run bigint) RETURNS bigint
LANGUAGE sql STABLE SET search_path = @schema@, pg_catalog AS $$
  SELECT coalesce((SELECT s0 + s1 + s2 + s3 + s4 FROM run_count WHERE run = of_run), 0)
       + coalesce((SELECT sum(s0 + s1 + s2 + s3 + s4) FROM run_change WHERE run = of_run), 0)
$$;

-- Counts jobs that went from one state to another; NULL: came into being, or ceased to be.
CREATE OR REPLACE FUNCTION @schema@.count_moves(queues text[], priorities smallint[], runs bigint[], froms smallint[],
                                                tos smallint[]) RETURNS void
LANGUAGE sql SET search_path = @schema@, pg_catalog AS $$
  WITH move (q, p, r, state, n) AS (
    SELECT q, p, r, s, 1 FROM unnest(queues, priorities, runs, tos) AS m (q, p, r, s)
    UNION ALL SELECT q, p, r, s, -1 FROM unnest(queues, priorities, runs, froms) AS m (q, p, r, s)
  ), of_queues AS (
    INSERT INTO queue_change
    SELECT q, p, coalesce(sum(n) FILTER (WHERE state = 0), 0), coalesce(sum(n) FILTER (WHERE state = 1), 0),
           coalesce(sum(n) FILTER (WHERE state = 2), 0), coalesce(sum(n) FILTER (WHERE state = 3), 0),
           coalesce(sum(n) FILTER (WHERE state = 4), 0), coalesce(sum(n) FILTER (WHERE state = 5), 0),
           coalesce(sum(n) FILTER (WHERE state = 6), 0), coalesce(sum(n) FILTER (WHERE state = 7), 0)
    FROM move GROUP BY q, p
  )
  INSERT INTO run_change
  SELECT r, coalesce(sum(n) FILTER (WHERE state = 0), 0), coalesce(sum(n) FILTER (WHERE state = 1), 0),
         coalesce(sum(n) FILTER (WHERE state = 2), 0), coalesce(sum(n) FILTER (WHERE state = 3), 0),
         coalesce(sum(n) FILTER (WHERE state = 4), 0), coalesce(sum(n) FILTER (WHERE state = 5), 0),
         coalesce(sum(n) FILTER (WHERE state = 6), 0), coalesce(sum(n) FILTER (WHERE state = 7), 0)
  FROM move WHERE r IS NOT NULL GROUP BY r
$$;

-- Folds changes into their bases. One transaction, so that every snapshot sums to the same.
CREATE OR REPLACE FUNCTION @schema@.fold_counts() RETURNS void
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog AS $$
BEGIN
  -- Two folders at once would only wait for each other's rows.
  IF NOT pg_try_advisory_xact_lock(hashtextextended('@schema@ fold', 0)) THEN RETURN; END IF;
  WITH taken AS (DELETE FROM queue_change RETURNING *)
  INSERT INTO queue_count AS c
  SELECT queue, priority, sum(s0), sum(s1), sum(s2), sum(s3), sum(s4), sum(s5), sum(s6), sum(s7)
  FROM taken GROUP BY queue, priority
  ON CONFLICT (queue, priority) DO UPDATE SET
    s0 = c.s0 + excluded.s0, s1 = c.s1 + excluded.s1, s2 = c.s2 + excluded.s2, s3 = c.s3 + excluded.s3,
    s4 = c.s4 + excluded.s4, s5 = c.s5 + excluded.s5, s6 = c.s6 + excluded.s6, s7 = c.s7 + excluded.s7;
  WITH taken AS (DELETE FROM run_change RETURNING *)
  INSERT INTO run_count AS c
  SELECT run, sum(s0), sum(s1), sum(s2), sum(s3), sum(s4), sum(s5), sum(s6), sum(s7)
  FROM taken GROUP BY run
  ON CONFLICT (run) DO UPDATE SET
    s0 = c.s0 + excluded.s0, s1 = c.s1 + excluded.s1, s2 = c.s2 + excluded.s2, s3 = c.s3 + excluded.s3,
    s4 = c.s4 + excluded.s4, s5 = c.s5 + excluded.s5, s6 = c.s6 + excluded.s6, s7 = c.s7 + excluded.s7;
END $$;
