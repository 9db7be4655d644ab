SELECT array_to_string(@schema@.cancel_jobs($1), ' ')
