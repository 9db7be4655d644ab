-- started_at, finished_at and token are placeholders of their final width; see the migration.
INSERT INTO job (id, queue, kind, priority, state, attempt, max_attempts, crashes, max_crashes, timeout, created_at, run_at,
                 started_at, finished_at, token, run, partition_key, unique_key, tags, args)
VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, 0, ?7, ?8, ?9, ?10, ?9, ?9, 4611686018427387904, ?11, ?12, ?13, ?14, ?15);
