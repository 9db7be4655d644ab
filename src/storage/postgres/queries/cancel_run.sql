SELECT @schema@.cancel_run($1)
