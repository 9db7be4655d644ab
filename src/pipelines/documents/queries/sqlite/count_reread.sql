-- Until the run is over its report holds nothing but this count.
INSERT INTO document_report (run_id, created_at, report) VALUES (?1, 0, '{"run":{"reread":1}}')
ON CONFLICT (run_id) DO UPDATE SET
  report = json_set(report, '$.run.reread', coalesce(json_extract(report, '$.run.reread'), 0) + 1)
