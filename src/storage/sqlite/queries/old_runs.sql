SELECT id FROM run AS r
WHERE r.state <> 0 AND r.finished_at < ?1
  AND EXISTS (SELECT 1 FROM run AS later WHERE later.identity = r.identity AND later.generation > r.generation)
  AND NOT EXISTS (SELECT 1 FROM run_count AS c WHERE c.run = r.id AND c.n <> 0)
ORDER BY id LIMIT ?2;
