-- Texts are read of the hits shown only.
SELECT d.document_id, d.source, d.path, d.title, d.media_type, e.id & 16777215, e.type, e.location, e.text, hit.rank,
       e.metadata
  FROM (SELECT e.id, ts_rank_cd('{0.33, 0.33, 0.33, 1}', e.words, query.words, 1) AS rank
          FROM (SELECT $1::tsquery AS words) AS query
          JOIN @schema@.element AS e ON e.words @@ query.words
          JOIN @schema@.document AS d ON d.doc = e.id >> 24
         WHERE ($2 = '' OR e.type = $2) AND ($3 = '' OR d.source = $3) AND ($4 = '' OR d.media_type = $4)
         ORDER BY rank DESC, e.id LIMIT $5 OFFSET $6) AS hit
  JOIN @schema@.element AS e ON e.id = hit.id
  JOIN @schema@.document AS d ON d.doc = hit.id >> 24
 ORDER BY hit.rank DESC, hit.id
