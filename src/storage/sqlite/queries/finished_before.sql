-- From the oldest id up: finished jobs are mostly the oldest, and the walk goes on where the last one stopped.
SELECT id, queue, priority, state, run, finished_at FROM job WHERE id > ?1 ORDER BY id LIMIT ?2;
