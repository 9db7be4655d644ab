INSERT INTO setting (name, value) VALUES ('next_job', ?1) ON CONFLICT DO UPDATE SET value = excluded.value;
