SELECT bound::text, work, due, settled, wait, (SELECT count(*) FROM @schema@.idle_worker)
FROM @schema@.look($1, $2, $3, $4::text::xid8)
