SELECT count(*) FROM job INDEXED BY job_dead WHERE state = 7 AND finished_at < ?1;
