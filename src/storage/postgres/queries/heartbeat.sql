SELECT beat IS NULL, array_to_string(beat, ' ') FROM @schema@.heartbeat($1, $2, $3, $4, $5, $6, $7::float8[], $8) AS beat
