UPDATE @schema@.document SET size = $1, mtime_ns = $2 WHERE document_id = $3
