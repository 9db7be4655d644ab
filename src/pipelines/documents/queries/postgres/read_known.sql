SELECT path, size, mtime_ns, coalesce(content_hash, ''), parser_version, status, reason, message
  FROM @schema@.document
 WHERE hashtextextended(source, 0) = hashtextextended($1::text COLLATE "C", 0) AND source = $1
   AND (left(path, 256), path) > (left($2::text, 256), $2)
 ORDER BY left(path, 256), path LIMIT $3
