SELECT name FROM @schema@.kind
