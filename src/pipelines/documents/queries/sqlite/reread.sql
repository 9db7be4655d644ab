SELECT coalesce(json_extract(report, '$.run.reread'), 0) FROM document_report WHERE run_id = ?1
