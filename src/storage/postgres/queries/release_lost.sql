SELECT @schema@.release_lost($1, $2)
