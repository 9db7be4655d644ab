-- The index is told what it held from the very view it was filled from, before any of that changes.
INSERT INTO element_fts (element_fts, rowid, name, text)
SELECT 'delete', id, name, text FROM element_text WHERE id >= ?1 << 24 AND id < (?1 + 1) << 24
