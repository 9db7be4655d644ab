-- Back to wait: ?4 is what the attempt counter loses, 1 when this was no attempt.
UPDATE job SET state = ?2, run_at = coalesce(?3, run_at), attempt = attempt - ?4, error = coalesce(?5, error) WHERE id = ?1;
