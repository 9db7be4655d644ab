INSERT INTO @schema@.document_report AS r (run_id, created_at, reread, report) VALUES ($1, 0, 1, '{}')
ON CONFLICT (run_id) DO UPDATE SET reread = r.reread + 1
