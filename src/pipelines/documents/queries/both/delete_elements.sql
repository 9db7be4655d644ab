DELETE FROM @schema@.element WHERE id >= CAST($1 AS bigint) << 24 AND id < (CAST($1 AS bigint) + 1) << 24
