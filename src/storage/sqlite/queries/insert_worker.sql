INSERT INTO worker (id, type, host, pid, slots, state, started_at, last_heartbeat) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?6);
