SELECT max(coalesce((SELECT max(id) + 1 FROM job), 1), coalesce((SELECT value FROM setting WHERE name = 'next_job'), 1));
