SELECT kind, args, attempt, max_attempts, crashes, timeout, created_at, run_at, partition_key, unique_key, run, tags, cancel_requested
FROM job WHERE id = ?1;
