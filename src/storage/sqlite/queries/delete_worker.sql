DELETE FROM worker WHERE incarnation = ?1;
