DELETE FROM dependency WHERE job = ?1;
