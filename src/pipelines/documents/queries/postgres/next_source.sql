-- In the order of the index, which is as good as any.
SELECT source, run_id FROM @schema@.document
 WHERE $1 = '' OR hashtextextended(source, 0) > hashtextextended($1::text COLLATE "C", 0)
 ORDER BY hashtextextended(source, 0), left(path, 256) LIMIT 1
