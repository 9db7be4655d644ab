INSERT INTO setting (name, value) VALUES ('epoch of ' || ?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value;
