SELECT id, pipeline, identity, spec, generation, state, discovery_done, finals_started, open, started_at, finished_at
FROM run WHERE id = ?1 OR ?1 = 0 ORDER BY id DESC LIMIT ?2;
