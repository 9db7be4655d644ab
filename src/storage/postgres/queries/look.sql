SELECT bound::text, work, due, settled, wait FROM @schema@.look($1, $2, $3, $4::text::xid8)
