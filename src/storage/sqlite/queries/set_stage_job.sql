UPDATE run SET stage_job = ?2 WHERE id = ?1;
