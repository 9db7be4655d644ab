SELECT queue, priority, waiting, scheduled, available, running, retryable, completed, cancelled, dead
FROM @schema@.lane_count ORDER BY queue, priority
