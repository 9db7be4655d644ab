SELECT r.id, r.pipeline, r.identity, r.spec, r.generation, r.state, r.discovery_done, r.finals_started, r.started_at, r.finished_at,
       coalesce(c.s0, 0), coalesce(c.s1, 0), coalesce(c.s2, 0), coalesce(c.s3, 0), coalesce(c.s4, 0), coalesce(c.s5, 0),
       coalesce(c.s6, 0), coalesce(c.s7, 0), coalesce(d.n1, 0), coalesce(d.n4, 0),
       coalesce(r.stage_job, 0), coalesce(w.id, ''), coalesce(j.token, 0)
FROM @schema@.run AS r
LEFT JOIN LATERAL (
  SELECT sum(s0)::bigint AS s0, sum(s1)::bigint AS s1, sum(s2)::bigint AS s2, sum(s3)::bigint AS s3, sum(s4)::bigint AS s4,
         sum(s5)::bigint AS s5, sum(s6)::bigint AS s6, sum(s7)::bigint AS s7
  FROM (SELECT s0, s1, s2, s3, s4, s5, s6, s7 FROM @schema@.run_count WHERE run = r.id
        UNION ALL SELECT s0, s1, s2, s3, s4, s5, s6, s7 FROM @schema@.run_change WHERE run = r.id) AS c) AS c ON true
LEFT JOIN LATERAL (
  SELECT count(*) FILTER (WHERE state = 1) AS n1, count(*) FILTER (WHERE state = 4) AS n4 FROM @schema@.job
  WHERE run = r.id AND state IN (1, 4) AND run_at <= @schema@.clock()) AS d ON true
LEFT JOIN @schema@.job AS j ON j.id = r.stage_job AND j.state = 3
LEFT JOIN @schema@.worker AS w ON w.incarnation = j.incarnation
WHERE r.id = $1 OR $1 = 0 ORDER BY r.id DESC LIMIT $2
