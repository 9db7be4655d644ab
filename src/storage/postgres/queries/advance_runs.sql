SELECT @schema@.advance_runs($1)
