SELECT coalesce((SELECT value FROM setting WHERE name = 'epoch of ' || ?1), 0);
