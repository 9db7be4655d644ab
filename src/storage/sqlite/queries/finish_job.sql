UPDATE job SET state = ?2, finished_at = ?3, error = coalesce(?4, error) WHERE id = ?1;
