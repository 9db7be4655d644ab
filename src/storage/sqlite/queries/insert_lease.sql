INSERT INTO lease (token, jobs) VALUES (?1, ?2);
