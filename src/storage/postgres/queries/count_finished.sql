SELECT count(*) FROM @schema@.job_history WHERE finished_at < $1
