INSERT INTO @schema@.document (
  document_id, source, path, size, mtime_ns, content_hash, parser_version, status, reason, message, media_type, title,
  author, language, charset, pages, metadata, warnings, parse_us, parsed_at, run_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
ON CONFLICT (document_id) DO UPDATE SET
  size = excluded.size, mtime_ns = excluded.mtime_ns, content_hash = excluded.content_hash,
  parser_version = excluded.parser_version, status = excluded.status, reason = excluded.reason,
  message = excluded.message, media_type = excluded.media_type, title = excluded.title, author = excluded.author,
  language = excluded.language, charset = excluded.charset, pages = excluded.pages, metadata = excluded.metadata,
  warnings = excluded.warnings, element_count = 0, text_bytes = 0, parse_us = excluded.parse_us,
  parsed_at = excluded.parsed_at, run_id = excluded.run_id
