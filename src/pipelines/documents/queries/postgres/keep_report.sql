INSERT INTO @schema@.document_report (run_id, created_at, reread, report)
VALUES ($1, $2, coalesce(($3::json #>> '{run,reread}')::bigint, 0), $3::text)
ON CONFLICT (run_id) DO UPDATE SET
  created_at = excluded.created_at, reread = excluded.reread, report = excluded.report
