SELECT id, generation, joined FROM @schema@.start_run($1, $2, $3, $4::text::json, $5::text::json)
