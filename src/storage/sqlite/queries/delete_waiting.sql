DELETE FROM waiting_job WHERE job = ?1;
