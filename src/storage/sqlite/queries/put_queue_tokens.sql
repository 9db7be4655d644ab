UPDATE queue SET tokens = ?2, tokens_at = ?3 WHERE id = ?1;
