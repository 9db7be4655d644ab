INSERT INTO attempt (job, attempt, outcome, error, worker, started_at, finished_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7);
