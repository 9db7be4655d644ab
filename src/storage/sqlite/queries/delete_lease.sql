DELETE FROM lease WHERE token = ?1;
