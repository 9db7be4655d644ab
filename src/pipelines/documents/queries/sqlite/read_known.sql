SELECT path, size, mtime_ns, coalesce(content_hash, ''), parser_version, status, reason, message
  FROM document WHERE source = ?1 AND path > ?2 ORDER BY path LIMIT ?3
