UPDATE job SET state = 5, finished_at = ?2, result = ?3 WHERE id = ?1;
