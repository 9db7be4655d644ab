SELECT count(*) FROM @schema@.worker AS w
WHERE w.last_heartbeat < $1 AND (w.superseded OR w.state IN (2, 3))
  AND w.incarnation < (SELECT max(incarnation) FROM @schema@.worker)
  AND NOT EXISTS (SELECT FROM @schema@.lease AS l JOIN @schema@.worker AS o ON o.incarnation = l.incarnation WHERE o.id = w.id)
