SELECT id, queue, priority, state, run, partition_key FROM job INDEXED BY job_due
WHERE state IN (1, 4) AND run_at <= ?1 ORDER BY run_at LIMIT ?2;
