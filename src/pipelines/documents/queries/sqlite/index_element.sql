INSERT INTO element_fts (rowid, name, text) VALUES (?1, ?2, ?3)
