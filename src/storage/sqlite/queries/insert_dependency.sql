INSERT INTO dependency (needs, job) VALUES (?1, ?2);
