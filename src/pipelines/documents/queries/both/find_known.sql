SELECT path, size, mtime_ns, coalesce(content_hash, ''), parser_version, status, reason, message
  FROM @schema@.document WHERE document_id = $1
