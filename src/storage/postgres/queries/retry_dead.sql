SELECT array_to_string(@schema@.retry_dead($1, $2), ' ')
