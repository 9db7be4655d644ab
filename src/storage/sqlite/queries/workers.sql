SELECT incarnation, id, type, host, pid, slots, state, started_at, last_heartbeat FROM worker ORDER BY incarnation;
