SELECT @schema@.delete_finished($1, $2)
