SELECT id, run_at FROM job INDEXED BY job_ready
WHERE queue = ?1 AND priority = ?2 AND state = 2 AND partition_key IS NULL AND (run_at, id) > (?3, ?4)
ORDER BY run_at, id LIMIT ?5;
