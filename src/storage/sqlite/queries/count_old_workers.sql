SELECT count(*) FROM worker AS w
WHERE w.last_heartbeat < ?1 AND w.incarnation < (SELECT max(incarnation) FROM worker)
  AND (w.state IN (2, 3) OR EXISTS (SELECT 1 FROM worker AS later WHERE later.id = w.id AND later.incarnation > w.incarnation))
  AND NOT EXISTS (SELECT 1 FROM lease AS l JOIN worker AS o ON o.incarnation = (l.token & 4611686018427387903) >> 40
                  WHERE o.id = w.id);
