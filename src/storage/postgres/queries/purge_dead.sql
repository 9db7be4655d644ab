SELECT @schema@.purge_dead($1, $2)
