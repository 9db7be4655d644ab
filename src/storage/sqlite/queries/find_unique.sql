SELECT id FROM job INDEXED BY job_unique WHERE unique_key = ?1 AND unique_key IS NOT NULL AND state < 5;
