DELETE FROM dependency WHERE needs = ?1 RETURNING job;
