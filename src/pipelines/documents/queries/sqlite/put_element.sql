INSERT INTO element (id, parent, type, level, location, text, metadata) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
