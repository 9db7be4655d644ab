SELECT min(run_at) FROM (
  SELECT min(run_at) AS run_at FROM job INDEXED BY job_ready WHERE queue = ?1 AND priority = ?2 AND state = 2 AND partition_key IS NULL
  UNION ALL
  SELECT min(run_at) FROM partition_head WHERE queue = ?1 AND priority = ?2
);
