UPDATE job SET crashes = crashes + 1 WHERE id = ?1 RETURNING crashes, max_crashes, max_attempts;
