UPDATE job SET state = 5, finished_at = ?2 WHERE id = ?1;
