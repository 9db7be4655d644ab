INSERT OR REPLACE INTO document_report (run_id, created_at, report) VALUES (?1, ?2, ?3)
