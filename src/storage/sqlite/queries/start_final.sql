UPDATE run SET finals_started = finals_started + 1 WHERE id = ?1;
