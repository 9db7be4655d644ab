INSERT INTO queue (name) VALUES (?1);
