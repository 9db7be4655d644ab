INSERT INTO @schema@.queue AS q (name, capacity, overflow, spill_to, rate_limit, concurrency) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (name) DO UPDATE SET capacity = excluded.capacity, overflow = excluded.overflow, spill_to = excluded.spill_to,
  rate_limit = excluded.rate_limit, concurrency = excluded.concurrency
WHERE (q.capacity, q.overflow, q.spill_to, q.rate_limit, q.concurrency)
  IS DISTINCT FROM (excluded.capacity, excluded.overflow, excluded.spill_to, excluded.rate_limit, excluded.concurrency)
