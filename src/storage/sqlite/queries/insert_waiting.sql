INSERT INTO waiting_job (job, open, policy, failed) VALUES (?1, ?2, ?3, ?4);
