UPDATE job SET progress = ?2, progress_message = ?3 WHERE id = ?1;
