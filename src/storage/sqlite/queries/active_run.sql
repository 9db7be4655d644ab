SELECT id, generation FROM run WHERE identity = ?1 AND state = 0;
