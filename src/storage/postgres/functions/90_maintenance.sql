-- What must happen from time to time, whoever does it. Each part is skipped where somebody else is at it.

-- Moves positions on that stand before their lane's first job: producers were under way when it was claimed, or it was
-- cancelled.
CREATE OR REPLACE FUNCTION @schema@.tidy_partitions(most int) RETURNS void
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  stale record;
BEGIN
  FOR stale IN
    SELECT l.queue, l.priority, l.key FROM partition_lane AS l
    WHERE l.run_at <= clock()
      -- Not NOT EXISTS: see candidates.
      AND (SELECT true FROM job AS j
           WHERE j.state IN (1, 2, 4) AND j.partition_key = l.key AND j.queue = l.queue AND j.priority = l.priority
             AND j.run_at <= clock()
           ORDER BY j.partition_key, j.queue, j.priority, j.run_at, j.id LIMIT 1) IS NULL
    LIMIT most
  LOOP
    PERFORM FROM partition WHERE key = stale.key FOR UPDATE SKIP LOCKED;
    CONTINUE WHEN NOT FOUND;
    PERFORM advance_lane(stale.queue, stale.priority, stale.key);
  END LOOP;
END $$;

CREATE OR REPLACE FUNCTION @schema@.maintain() RETURNS void
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog AS $$
BEGIN
  PERFORM fold_counts();
  PERFORM advance_all_runs();
  PERFORM tidy_partitions(1000);
END $$;
