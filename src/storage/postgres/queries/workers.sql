SELECT w.incarnation, w.id, w.type, w.host, w.pid, w.slots, w.state, w.started_at, w.last_heartbeat,
       coalesce((SELECT sum(open) FROM @schema@.lease AS l JOIN @schema@.worker AS o ON o.incarnation = l.incarnation
                 WHERE o.id = w.id), 0)::bigint
FROM @schema@.worker AS w WHERE NOT superseded ORDER BY w.id
