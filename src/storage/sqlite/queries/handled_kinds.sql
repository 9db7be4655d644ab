SELECT name FROM kind WHERE handled = 1;
