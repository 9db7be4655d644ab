SELECT source, status, count(*), sum(element_count), sum(size), max(run_id), max(parsed_at)
  FROM @schema@.document GROUP BY source, status ORDER BY source, status
