SELECT id & 16777215, parent, type, level, location, text, coalesce(metadata, '')
  FROM @schema@.element
 WHERE id >= (SELECT doc FROM @schema@.document WHERE document_id = $1) * 16777216 + $2
   AND id < (SELECT doc + 1 FROM @schema@.document WHERE document_id = $1) * 16777216
 ORDER BY id LIMIT $3
