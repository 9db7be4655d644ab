DELETE FROM run_count WHERE run = ?1;
