SELECT @schema@.lead($1, $2, $3)
