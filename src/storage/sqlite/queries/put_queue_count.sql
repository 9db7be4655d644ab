INSERT INTO queue_count (queue, priority, state, n) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET n = excluded.n;
