SELECT @schema@.maintain()
