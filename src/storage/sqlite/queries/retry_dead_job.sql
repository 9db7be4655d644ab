UPDATE job SET state = 2, attempt = 0, crashes = 0, cancel_requested = 0, run_at = ?2 WHERE id = ?1;
