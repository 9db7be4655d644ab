SELECT status, media_type, language, reason, run_id = $1, count(*), sum(element_count), sum(size)
  FROM @schema@.document WHERE source = $2 GROUP BY 1, 2, 3, 4, 5
