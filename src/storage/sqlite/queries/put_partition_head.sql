INSERT INTO partition_head (queue, priority, partition_key, run_at, job) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT DO UPDATE SET run_at = excluded.run_at, job = excluded.job;
