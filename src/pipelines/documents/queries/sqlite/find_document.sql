SELECT doc, element_count, run_id FROM document WHERE document_id = ?1
