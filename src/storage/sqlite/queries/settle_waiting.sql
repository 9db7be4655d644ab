UPDATE waiting_job SET open = open - ?2, failed = CASE WHEN failed = 0 THEN ?3 ELSE failed END WHERE job = ?1;
