SELECT @schema@.lead_in($1, $2, $3, $4)
