SELECT attempt, outcome, error, coalesce(w.id, ''), a.started_at, finished_at
FROM @schema@.attempt AS a LEFT JOIN @schema@.worker AS w ON w.incarnation = a.incarnation WHERE job = $1 ORDER BY no
