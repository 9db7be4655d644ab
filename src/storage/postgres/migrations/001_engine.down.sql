-- Everything the engine has, jobs included.
DROP SCHEMA @schema@ CASCADE;
