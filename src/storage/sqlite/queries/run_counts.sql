SELECT state, n FROM run_count WHERE run = ?1;
