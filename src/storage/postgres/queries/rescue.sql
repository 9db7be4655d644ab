SELECT (SELECT string_agg(CASE WHEN a THEN '1' ELSE '0' END, '' ORDER BY o) FROM unnest(taken) WITH ORDINALITY AS r (a, o))
FROM @schema@.rescue($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS taken
