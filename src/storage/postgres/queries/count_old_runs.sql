SELECT count(*) FROM @schema@.run AS r
WHERE r.finished_at < $1
  AND EXISTS (SELECT FROM @schema@.run AS later WHERE later.identity = r.identity AND later.generation > r.generation)
  AND NOT EXISTS (
    SELECT FROM (SELECT s0, s1, s2, s3, s4, s5, s6, s7 FROM @schema@.run_count WHERE run = r.id
                 UNION ALL SELECT s0, s1, s2, s3, s4, s5, s6, s7 FROM @schema@.run_change WHERE run = r.id) AS c
    HAVING sum(s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7) <> 0)
