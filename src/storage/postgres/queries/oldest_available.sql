SELECT l.queue, l.priority, min(j.run_at)
FROM @schema@.lanes() AS l, LATERAL (
  SELECT run_at FROM (
    (SELECT run_at FROM @schema@.job WHERE NOT l.partitioned AND state IN (1, 2, 4) AND partition_key IS NULL
       AND queue = l.queue AND priority = l.priority ORDER BY queue, priority, run_at, id LIMIT 1)
    UNION ALL
    (SELECT j.run_at FROM @schema@.partition_lane AS h, LATERAL (
       SELECT run_at FROM @schema@.job AS j WHERE j.state IN (1, 2, 4) AND j.partition_key = h.key AND j.queue = h.queue
         AND j.priority = h.priority ORDER BY j.partition_key, j.queue, j.priority, j.run_at, j.id LIMIT 1) AS j
     WHERE l.partitioned AND h.queue = l.queue AND h.priority = l.priority
     ORDER BY h.queue, h.priority, h.run_at, h.job LIMIT 100)
  ) AS first WHERE run_at <= @schema@.clock()) AS j
GROUP BY l.queue, l.priority
