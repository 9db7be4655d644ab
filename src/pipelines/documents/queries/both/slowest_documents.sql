SELECT source, path, status, reason, message, size, parse_us
  FROM @schema@.document WHERE source = $1 AND run_id = $2 AND parse_us > 0 ORDER BY parse_us DESC, path LIMIT 10
