SELECT min(run_at) FROM job INDEXED BY job_due WHERE state IN (1, 4);
