-- The index is asked first and in order of rank, so that texts are read of the hits shown only.
SELECT d.document_id, d.source, d.path, d.title, d.media_type, e.id & 16777215, e.type, e.location, e.text, -f.rank,
       e.metadata
  FROM element_fts AS f
 CROSS JOIN element AS e ON e.id = f.rowid
 CROSS JOIN document AS d ON d.doc = (f.rowid >> 24)
 WHERE element_fts MATCH ?1 AND (?2 = '' OR e.type = ?2) AND (?3 = '' OR d.source = ?3)
   AND (?4 = '' OR d.media_type = ?4)
 ORDER BY f.rank LIMIT ?5 OFFSET ?6
