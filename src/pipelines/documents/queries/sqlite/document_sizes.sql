SELECT path, element_count FROM document WHERE source = ?1 ORDER BY path LIMIT ?2
