SELECT l.scope, coalesce(w.id, ''), l.incarnation, l.epoch, (extract(epoch FROM l.expires_at - t.now) * 1000000)::bigint
FROM (SELECT @schema@.clock() AS now) AS t, @schema@.leader AS l LEFT JOIN @schema@.worker AS w ON w.incarnation = l.incarnation
WHERE l.expires_at > t.now ORDER BY l.scope
