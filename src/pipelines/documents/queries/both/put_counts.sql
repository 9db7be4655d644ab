UPDATE @schema@.document SET element_count = $1, text_bytes = $2 WHERE doc = $3
