UPDATE queue SET capacity = ?2, overflow = ?3, spill_to = ?4, rate_limit = ?5, concurrency = ?6 WHERE id = ?1;
