SELECT e.id,
       CASE WHEN e.id & 16777215 = 0
            THEN (SELECT title || ' ' || path FROM @schema@.document WHERE doc = e.id >> 24) ELSE '' END,
       e.text
  FROM @schema@.element AS e WHERE e.id > $1 ORDER BY e.id LIMIT $2
