-- Locked, for it is about to change: whoever else would change it waits and then sees what was made of it.
SELECT doc, element_count, run_id FROM @schema@.document WHERE document_id = $1 FOR UPDATE
