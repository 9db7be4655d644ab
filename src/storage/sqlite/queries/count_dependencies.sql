SELECT count(*) FROM dependency;
