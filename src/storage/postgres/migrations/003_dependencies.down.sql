-- Jobs that wait stay waiting: nobody knows any more for what. They can be cancelled.
-- The functions that know of dependencies go, as an older program's would stand beside them; its migrate makes its own.
DO $$
DECLARE
  one regprocedure;
BEGIN
  FOR one IN SELECT oid FROM pg_proc WHERE pronamespace = '@schema@'::regnamespace
    AND proname IN ('insert_jobs', 'insert_unique', 'report', 'emit_jobs', 'enqueue', 'enqueue_many', 'link_jobs',
                    'find_dependencies', 'lock_dependents', 'finish_dependencies', 'decide_waiting', 'release_waiting',
                    'cancel_now', 'settled_runs', 'kept_dependencies', 'policy_number')
  LOOP
    EXECUTE 'DROP FUNCTION ' || one;
  END LOOP;
END $$;
DROP TABLE @schema@.dependency;
DROP TABLE @schema@.waiting_job;
