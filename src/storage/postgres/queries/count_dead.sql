SELECT count(*) FROM @schema@.dead_letter WHERE finished_at < $1
