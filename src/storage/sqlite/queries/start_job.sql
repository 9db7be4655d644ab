UPDATE job SET state = 3, attempt = attempt + 1, token = ?2, started_at = ?3, progress = NULL, progress_message = NULL WHERE id = ?1;
