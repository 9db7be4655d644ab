SELECT id, name, paused, capacity, overflow, spill_to, rate_limit, concurrency, tokens, tokens_at FROM queue ORDER BY id;
