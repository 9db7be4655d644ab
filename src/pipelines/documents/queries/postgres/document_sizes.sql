SELECT path, element_count FROM @schema@.document
 WHERE hashtextextended(source, 0) = hashtextextended($1::text COLLATE "C", 0) AND source = $1
 ORDER BY left(path, 256), path LIMIT $2
