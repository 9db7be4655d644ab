DELETE FROM partition_head WHERE queue = ?1 AND priority = ?2 AND partition_key = ?3;
