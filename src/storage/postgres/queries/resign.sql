SELECT @schema@.resign($1, $2)
