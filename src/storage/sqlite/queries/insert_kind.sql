INSERT INTO kind (name) VALUES (?1);
