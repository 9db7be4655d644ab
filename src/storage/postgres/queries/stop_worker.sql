SELECT array_to_string(@schema@.stop_worker($1, $2), ' ')
