SELECT id, name FROM kind;
