-- For producers: enqueueing in the caller's own transaction, by one who may do nothing else here. Commit makes the jobs
-- visible, rollback leaves nothing.

CREATE OR REPLACE FUNCTION @schema@.priority_number(name text) RETURNS smallint
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  n int := array_position(ARRAY['critical', 'high', 'default', 'low', 'bulk'], lower(name));
BEGIN
  IF n IS NULL THEN
    RAISE EXCEPTION 'priority: no priority ''%''', name
      USING ERRCODE = 'MR002', HINT = 'critical, high, default, low or bulk';
  END IF;
  RETURN n - 1;
END $$;

CREATE OR REPLACE FUNCTION @schema@.policy_number(name text) RETURNS smallint
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  n int := array_position(ARRAY['succeeded', 'failed', 'finished'], lower(name));
BEGIN
  IF n IS NULL THEN
    RAISE EXCEPTION 'after_when: no policy ''%''', name USING ERRCODE = 'MR002', HINT = 'succeeded, failed or finished';
  END IF;
  RETURN n - 1;
END $$;

-- What is wrong with the first bad one of these jobs; NULL when all are good. `place` names a job by its number, the
-- first one's being `first`.
CREATE OR REPLACE FUNCTION @schema@.bad_job(kinds text[], argss jsonb[], partition_keys text[], unique_keys text[],
                                            place text, first bigint) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = @schema@, pg_catalog AS $$
  SELECT format(place, first + o - 1) || ': ' || CASE
           WHEN k IS NULL OR octet_length(k) NOT BETWEEN 1 AND 200 THEN 'kind: 1 to 200 bytes are needed'
           WHEN a IS NULL OR jsonb_typeof(a) <> 'object' THEN 'args: a JSON object is needed'
           WHEN octet_length(a::text) > 1048576 THEN 'args: is longer than 1 MiB; store the data elsewhere and pass its place'
           WHEN octet_length(p) > 1000 THEN 'partition_key: is longer than 1000 bytes'
           WHEN octet_length(u) > 1000 THEN 'unique_key: is longer than 1000 bytes' END
  FROM unnest(kinds, argss, partition_keys, unique_keys) WITH ORDINALITY AS j (k, a, p, u, o)
  WHERE k IS NULL OR octet_length(k) NOT BETWEEN 1 AND 200 OR a IS NULL OR jsonb_typeof(a) <> 'object'
    OR octet_length(a::text) > 1048576 OR octet_length(p) > 1000 OR octet_length(u) > 1000
  ORDER BY o LIMIT 1
$$;

--   SELECT millrace.enqueue_many(ARRAY['mail', 'mail'], ARRAY['{"to": 1}', '{"to": 2}']::jsonb[], queue => 'mails');
-- One job for each element of `kinds` and `argss`; what is given once holds for all of them. Returns the jobs' ids in
-- order: of one whose unique key is taken, that of the unfinished job that has it.
-- after: ids of jobs that each of them waits for; after_when: when it runs then, if all have 'succeeded', if one has
-- 'failed', or when all have 'finished'. Until the transaction ends those jobs can be neither claimed nor finished.
-- Raises MR001 (the queue is full), MR002 (bad input: which job, which field).
CREATE OR REPLACE FUNCTION @schema@.enqueue_many(
  kinds text[], argss jsonb[], queue text DEFAULT 'default', priority text DEFAULT 'default',
  run_at timestamptz DEFAULT NULL, delay interval DEFAULT NULL, max_attempts int DEFAULT 0,
  timeout interval DEFAULT '0', partition_keys text[] DEFAULT NULL, unique_keys text[] DEFAULT NULL,
  tags text[] DEFAULT NULL, run_id bigint DEFAULT 0, after bigint[] DEFAULT NULL, after_when text DEFAULT 'succeeded')
RETURNS bigint[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @schema@, pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  n int := coalesce(cardinality(kinds), 0);
  bad text;
  start timestamptz := coalesce(run_at, clock() + delay);
  naming int[];
  needs bigint[];
BEGIN
  IF n = 0 THEN RETURN '{}'; END IF;
  bad := CASE
    WHEN cardinality(argss) IS DISTINCT FROM n THEN 'argss: as many as kinds are needed'
    WHEN cardinality(partition_keys) <> n THEN 'partition_keys: as many as kinds are needed'
    WHEN cardinality(unique_keys) <> n THEN 'unique_keys: as many as kinds are needed'
    WHEN octet_length(queue) NOT BETWEEN 1 AND 200 THEN 'queue: 1 to 200 bytes are needed'
    WHEN max_attempts < 0 THEN 'max_attempts: is negative'
    WHEN timeout < '0' THEN 'timeout: is negative'
    WHEN cardinality(after) > 10000 THEN 'after: names more than 10000 jobs'
    WHEN EXISTS (SELECT FROM unnest(after) AS a WHERE a IS NULL OR a <= 0) THEN 'after: is no job id' END;
  IF bad IS NULL THEN bad := bad_job(kinds, argss, partition_keys, unique_keys, 'job %s of the batch', 0); END IF;
  IF bad IS NOT NULL THEN RAISE EXCEPTION '%', bad USING ERRCODE = 'MR002'; END IF;
  SELECT array_agg(i), array_agg(a) INTO naming, needs FROM generate_series(1, n) AS i, unnest(after) AS a;
  RETURN ARRAY(
    SELECT id FROM insert_jobs(
      kinds, argss::text[], array_fill(queue, ARRAY[n]), array_fill(priority_number(priority), ARRAY[n]),
      CASE WHEN start IS NOT NULL THEN array_fill(start, ARRAY[n]) END,
      CASE WHEN start IS NOT NULL THEN array_fill(0::bigint, ARRAY[n]) END,
      array_fill(max_attempts, ARRAY[n]), array_fill(0, ARRAY[n]),
      array_fill((extract(epoch FROM timeout) * 1000000)::bigint, ARRAY[n]),
      coalesce(partition_keys, array_fill(NULL::text, ARRAY[n])), coalesce(unique_keys, array_fill(NULL::text, ARRAY[n])),
      array_fill(coalesce(run_id, 0), ARRAY[n]),
      array_fill(CASE WHEN cardinality(tags) > 0 THEN to_json(tags)::text END, ARRAY[n]), NULL, true,
      naming, needs, array_fill(policy_number(after_when), ARRAY[coalesce(cardinality(needs), 0)]))
    WITH ORDINALITY AS j (id, duplicate, o) ORDER BY o);
END $$;

-- One job; returns its id.
--   SELECT millrace.enqueue('report.refresh', '{"report": 7}', priority => 'high', delay => '5 minutes');
--   SELECT millrace.enqueue('report.mail', after => ARRAY[4711, 4712]);
CREATE OR REPLACE FUNCTION @schema@.enqueue(
  kind text, args jsonb DEFAULT '{}', queue text DEFAULT 'default', priority text DEFAULT 'default',
  run_at timestamptz DEFAULT NULL, delay interval DEFAULT NULL, max_attempts int DEFAULT 0,
  timeout interval DEFAULT '0', partition_key text DEFAULT NULL, unique_key text DEFAULT NULL,
  tags text[] DEFAULT NULL, run_id bigint DEFAULT 0, after bigint[] DEFAULT NULL, after_when text DEFAULT 'succeeded')
RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = @schema@, pg_catalog, pg_temp AS $$
  SELECT (enqueue_many(ARRAY[kind], ARRAY[args], queue, priority, run_at, delay, max_attempts, timeout, ARRAY[partition_key],
                  ARRAY[unique_key], tags, run_id, after, after_when))[1]
$$;
