SELECT silent, id, attempt, token, worker, max_attempts, crashes, max_crashes, priority, queue, cancel_requested,
       coalesce(run, 0)
FROM @schema@.to_rescue($1, $2)
