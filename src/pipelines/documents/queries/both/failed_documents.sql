SELECT source, path, status, reason, message, size, parse_us
  FROM @schema@.document WHERE source = $1 AND status = 'failed' ORDER BY path LIMIT $2
