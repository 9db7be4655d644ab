DELETE FROM @schema@.document WHERE doc = $1
