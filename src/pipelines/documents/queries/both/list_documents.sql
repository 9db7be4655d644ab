SELECT document_id, source, path, size, mtime_ns, coalesce(content_hash, ''), status, reason, message, media_type, title,
       author, language, charset, pages, metadata, warnings, element_count, text_bytes, parse_us, parsed_at, run_id
  FROM @schema@.document
 WHERE (source, path) > ($1, $2) AND ($3 = '' OR status = $3) AND ($4 = '' OR source = $4)
   AND ($5 = '' OR media_type = $5)
 ORDER BY source, path LIMIT $6
