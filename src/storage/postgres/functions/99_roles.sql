-- Who may do what. The user that migrates owns everything; the roles below hold the least that each needs, and logins are
-- made members of them: GRANT @schema@_worker TO some_login.
--   @schema@_worker    runs workers and the commands of operators
--   @schema@_producer  enqueues, and nothing else
--   @schema@_reader    looks
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA @schema@ FROM PUBLIC;
ALTER FUNCTION @schema@.make_history_partitions(int) SECURITY DEFINER;
DO $$
DECLARE
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['@schema@_worker', '@schema@_producer', '@schema@_reader'] LOOP
    CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = role);
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', role);
    EXCEPTION WHEN insufficient_privilege THEN
      RAISE WARNING 'role % is not there and % may not create it; only the owner can use the schema', role, current_user;
      RETURN;
    WHEN duplicate_object OR unique_violation THEN NULL; -- another migration was quicker
    END;
  END LOOP;
  GRANT USAGE ON SCHEMA @schema@ TO @schema@_worker, @schema@_producer, @schema@_reader;
  GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA @schema@ TO @schema@_worker;
  GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA @schema@ TO @schema@_worker;
  GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA @schema@ TO @schema@_worker;
  REVOKE INSERT, UPDATE, DELETE ON @schema@.schema_migration FROM @schema@_worker;
  GRANT EXECUTE ON FUNCTION
    @schema@.enqueue_many(text[], jsonb[], text, text, timestamptz, interval, int, interval, text[], text[], text[], bigint, bigint[], text),
    @schema@.enqueue(text, jsonb, text, text, timestamptz, interval, int, interval, text, text, text[], bigint, bigint[], text),
    @schema@.enqueue_rows(bigint, text[], jsonb[], text[], text[], timestamptz[], int[], interval[], text[], text[], text[]),
    @schema@.enqueue_from(regclass)
    TO @schema@_producer;
  GRANT SELECT ON ALL TABLES IN SCHEMA @schema@ TO @schema@_reader;
  GRANT EXECUTE ON FUNCTION @schema@.clock() TO @schema@_reader;
  GRANT EXECUTE ON FUNCTION @schema@.lanes() TO @schema@_reader;
END $$;
