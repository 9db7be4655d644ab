-- The incarnation in a token: see state.h.
SELECT r.id, r.pipeline, r.identity, r.spec, r.generation, r.state, r.discovery_done, r.finals_started, r.open, r.started_at,
       r.finished_at, r.stage_job, w.id, j.token
FROM run AS r LEFT JOIN job AS j ON j.id = r.stage_job AND j.state = 3
LEFT JOIN worker AS w ON w.incarnation = (j.token & 4611686018427387903) >> 40
WHERE r.id = ?1 OR ?1 = 0 ORDER BY r.id DESC LIMIT ?2;
