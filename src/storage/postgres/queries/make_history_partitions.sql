SELECT @schema@.make_history_partitions($1)
