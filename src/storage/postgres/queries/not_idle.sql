DELETE FROM @schema@.idle_worker WHERE incarnation = $1
