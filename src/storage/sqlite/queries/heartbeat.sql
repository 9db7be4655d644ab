UPDATE worker SET last_heartbeat = ?2, state = ?3 WHERE incarnation = ?1;
