SELECT @schema@.advance_all_runs()
