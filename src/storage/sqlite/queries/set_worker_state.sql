UPDATE worker SET state = ?2 WHERE incarnation = ?1;
