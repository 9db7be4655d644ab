SELECT w.open, w.policy, w.failed, j.queue, j.priority, j.run, j.partition_key, j.run_at
FROM waiting_job AS w JOIN job AS j ON j.id = w.job WHERE w.job = ?1;
