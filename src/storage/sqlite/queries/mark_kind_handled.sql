UPDATE kind SET handled = 1 WHERE id = ?1 AND handled = 0;
