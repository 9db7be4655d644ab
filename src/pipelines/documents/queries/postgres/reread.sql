SELECT reread FROM @schema@.document_report WHERE run_id = $1
