SELECT e.id FROM unnest($1::bigint[], $2::tsvector[]) AS expected (id, words) JOIN @schema@.element AS e USING (id)
 WHERE e.words <> expected.words LIMIT 1
