INSERT INTO run (pipeline, identity, generation, state, spec, finals, started_at) VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6);
