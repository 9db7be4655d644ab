SELECT name, paused, capacity, overflow, spill_to, rate_limit, concurrency FROM @schema@.queue ORDER BY name
