SELECT attempt, outcome, error, worker, started_at, finished_at FROM attempt INDEXED BY attempt_by_job WHERE job = ?1 ORDER BY id;
