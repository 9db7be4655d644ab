SELECT document_id, source, path, size, mtime_ns, coalesce(content_hash, ''), status, reason, message, media_type, title,
       author, language, charset, pages, metadata, warnings, element_count, text_bytes, parse_us, parsed_at, run_id
  FROM @schema@.document WHERE document_id = $1
