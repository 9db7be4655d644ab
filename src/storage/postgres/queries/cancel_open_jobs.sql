SELECT @schema@.cancel_open_jobs($1, $2)
