SELECT coalesce(max(generation), 0) + 1 FROM run WHERE identity = ?1;
