INSERT INTO @schema@.element (id, parent, type, level, location, text, metadata, words)
SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[], $4::smallint[], $5::text[], $6::text[], $7::text[], $8::tsvector[])
