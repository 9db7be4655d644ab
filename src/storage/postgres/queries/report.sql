SELECT (SELECT string_agg(CASE WHEN a THEN '1' ELSE '0' END, '' ORDER BY o) FROM unnest(accepted) WITH ORDINALITY AS r (a, o)),
       array_to_string(finished_runs, ' '), freed_queues::text, freed_priorities::text
FROM @schema@.report($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
                     $23, $24, $25, $26, $27, $28)
