SELECT @schema@.clock()
