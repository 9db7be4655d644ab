SELECT count(*) FROM job WHERE state IN (5, 6) AND finished_at < ?1;
