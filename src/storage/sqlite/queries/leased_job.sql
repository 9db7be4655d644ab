SELECT queue, priority, attempt, run, partition_key, started_at, timeout, kind, cancel_requested FROM job
WHERE id = ?1 AND token = ?2 AND state = 3;
