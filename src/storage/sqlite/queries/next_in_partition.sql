SELECT id, run_at FROM job INDEXED BY job_ready_in_partition
WHERE partition_key = ?1 AND partition_key IS NOT NULL AND queue = ?2 AND priority = ?3 AND state = 2 AND (run_at, id) > (?4, ?5)
ORDER BY run_at, id LIMIT 1;
