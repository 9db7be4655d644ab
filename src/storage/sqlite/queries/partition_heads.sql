SELECT partition_key, run_at, job FROM partition_head INDEXED BY partition_head_order
WHERE queue = ?1 AND priority = ?2 ORDER BY run_at, job LIMIT ?3;
