SELECT state, discovery_done, finals_started, open, finals FROM run WHERE id = ?1;
