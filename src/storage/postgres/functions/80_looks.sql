-- Every job there is, live, finished or dead, with the state it is in now.
CREATE OR REPLACE VIEW @schema@.every_job AS
  SELECT j.id, kind, args, queue, priority,
         CASE WHEN j.state IN (1, 4) AND j.run_at <= @schema@.clock() THEN 2 ELSE j.state END::smallint AS state,
         created_at, run_at, started_at, NULL::timestamptz AS finished_at, attempt, max_attempts, crashes, max_crashes,
         timeout, partition_key, unique_key, run, tags, NULL::text AS result, error, progress, progress_message,
         cancel_requested, incarnation
  FROM @schema@.job AS j
  UNION ALL
  SELECT id, kind, args, queue, priority, state, created_at, run_at, started_at, finished_at, attempt, max_attempts,
         crashes, max_crashes, timeout, partition_key, unique_key, run, tags, result, error, progress, progress_message,
         false, incarnation
  FROM @schema@.job_history
  UNION ALL
  SELECT id, kind, args, queue, priority, state, created_at, run_at, started_at, finished_at, attempt, max_attempts,
         crashes, max_crashes, timeout, partition_key, unique_key, run, tags, result, error, progress, progress_message,
         false, incarnation
  FROM @schema@.dead_letter;

-- Jobs of each lane by state, as counted; those that became due since are counted as available.
CREATE OR REPLACE VIEW @schema@.lane_count AS
  WITH summed AS (
    SELECT queue, priority, sum(s0) AS s0, sum(s1) AS s1, sum(s2) AS s2, sum(s3) AS s3, sum(s4) AS s4, sum(s5) AS s5,
           sum(s6) AS s6, sum(s7) AS s7
    FROM (SELECT * FROM @schema@.queue_count UNION ALL SELECT * FROM @schema@.queue_change) AS c
    GROUP BY queue, priority
  ), due AS (
    SELECT queue, priority, count(*) FILTER (WHERE state = 1) AS n1, count(*) FILTER (WHERE state = 4) AS n4
    FROM @schema@.job WHERE state IN (1, 4) AND run_at <= @schema@.clock() GROUP BY queue, priority
  )
  SELECT s.queue, s.priority, s0::bigint AS waiting, (s1 - coalesce(n1, 0))::bigint AS scheduled,
         (s2 + coalesce(n1, 0) + coalesce(n4, 0))::bigint AS available, s3::bigint AS running,
         (s4 - coalesce(n4, 0))::bigint AS retryable, s5::bigint AS completed, s6::bigint AS cancelled, s7::bigint AS dead
  FROM summed AS s LEFT JOIN due USING (queue, priority);
