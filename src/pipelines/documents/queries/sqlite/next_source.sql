SELECT source, run_id FROM document WHERE source > ?1 ORDER BY source, path LIMIT 1
