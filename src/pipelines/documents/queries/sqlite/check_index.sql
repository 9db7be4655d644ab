INSERT INTO element_fts (element_fts, rank) VALUES ('integrity-check', 1)
