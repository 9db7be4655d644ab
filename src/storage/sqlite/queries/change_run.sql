UPDATE run SET open = open + ?2, discovery_done = max(discovery_done, ?3) WHERE id = ?1;
