-- Jobs in bulk, by COPY: the caller copies them into a table of its own, one row a job, and has that enqueued.

-- Jobs that differ in everything; `first` is the number of the first one's row. Those whose unique key is taken are left
-- out. Returns how many were enqueued. Raises MR001 and MR002, as enqueue_many does.
CREATE OR REPLACE FUNCTION @schema@.enqueue_rows(
  first bigint, kinds text[], argss jsonb[], queues text[], priorities text[], run_ats timestamptz[],
  max_attemptss int[], timeouts interval[], partition_keys text[], unique_keys text[], tagss text[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @schema@, pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  n int := coalesce(cardinality(kinds), 0);
  bad text;
BEGIN
  IF n = 0 THEN RETURN 0; END IF;
  IF (n, n, n, n, n, n, n, n, n) IS DISTINCT FROM (
       cardinality(argss), cardinality(queues), cardinality(priorities), cardinality(run_ats), cardinality(max_attemptss),
       cardinality(timeouts), cardinality(partition_keys), cardinality(unique_keys), cardinality(tagss)) THEN
    RAISE EXCEPTION 'every field needs as many values as there are kinds' USING ERRCODE = 'MR002';
  END IF;
  bad := bad_job(kinds, argss, partition_keys, unique_keys, 'row %s', first);
  IF bad IS NULL THEN
    SELECT format('row %s: ', first + o - 1) || CASE
             WHEN octet_length(q) NOT BETWEEN 1 AND 200 THEN 'queue: 1 to 200 bytes are needed'
             WHEN m < 0 THEN 'max_attempts: is negative'
             ELSE 'timeout: is negative' END
    INTO bad
    FROM unnest(queues, max_attemptss, timeouts) WITH ORDINALITY AS j (q, m, t, o)
    WHERE octet_length(q) NOT BETWEEN 1 AND 200 OR m < 0 OR t < '0' ORDER BY o LIMIT 1;
  END IF;
  IF bad IS NOT NULL THEN RAISE EXCEPTION '%', bad USING ERRCODE = 'MR002'; END IF;
  RETURN (
    SELECT count(*) FILTER (WHERE NOT duplicate) FROM insert_jobs(
      kinds, argss::text[], queues, ARRAY(SELECT priority_number(p) FROM unnest(priorities) WITH ORDINALITY AS j (p, o) ORDER BY o),
      CASE WHEN EXISTS (SELECT FROM unnest(run_ats) AS r WHERE r IS NOT NULL) THEN run_ats END,
      array_fill(0::bigint, ARRAY[n]), max_attemptss, array_fill(0, ARRAY[n]),
      ARRAY(SELECT (extract(epoch FROM t) * 1000000)::bigint FROM unnest(timeouts) WITH ORDINALITY AS j (t, o) ORDER BY o),
      partition_keys, unique_keys, array_fill(0::bigint, ARRAY[n]), tagss, NULL, true));
END $$;

-- Enqueues each row of a table, in the caller's transaction, all or none; nearly in the order in which they were copied, which is
-- the order of SELECT * FROM the table.
--   CREATE TEMP TABLE mails (kind text, args jsonb, priority text) ON COMMIT DROP;
--   COPY mails FROM STDIN;
--   SELECT millrace.enqueue_from('mails');
-- Its columns are fields of a job, with these names and types: kind text (needed), args jsonb, queue text, priority text,
-- run_at timestamptz, max_attempts int, timeout interval, partition_key text, unique_key text, tags text[]. A column that
-- is not there, or NULL, means the default. Returns how many were enqueued: those whose unique key is taken are not.
-- Raises MR001 (a queue is full), MR002 (bad input: which row in that order, which field).
CREATE OR REPLACE FUNCTION @schema@.enqueue_from(jobs regclass) RETURNS bigint
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog, pg_temp AS $$
DECLARE
  -- Pages read at once, some 10,000 rows: memory does not grow with the table.
  step CONSTANT int := 128;
  pages bigint := pg_relation_size(jobs) / current_setting('block_size')::int;
  known text[] := ARRAY['kind text', 'args jsonb', 'queue text', 'priority text', 'run_at timestamptz', 'max_attempts int',
                        'timeout interval', 'partition_key text', 'unique_key text', 'tags text[]'];
  defaults text[] := ARRAY[NULL, '{}', 'default', 'default', NULL, '0', '0', NULL, NULL, NULL];
  names text[];
  bad text;
  fields text;
  enqueued bigint := 0;
  piece record;
  seen bigint := 0;
BEGIN
  names := ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = jobs AND attnum > 0 AND NOT attisdropped);
  SELECT format('%s: column "%s" is no field of a job', jobs, name) INTO bad FROM unnest(names) AS name
  WHERE name <> ALL (SELECT split_part(k, ' ', 1) FROM unnest(known) AS k) LIMIT 1;
  bad := CASE
    WHEN NOT EXISTS (SELECT FROM pg_class WHERE oid = jobs AND relkind = 'r') THEN format('%s: is no table', jobs)
    WHEN 'kind' <> ALL (names) THEN format('%s: has no column "kind"', jobs)
    ELSE bad END;
  IF bad IS NOT NULL THEN
    RAISE EXCEPTION '%', bad USING ERRCODE = 'MR002', HINT = 'Its columns may be ' || array_to_string(known, ', ');
  END IF;
  SELECT string_agg(
    CASE WHEN split_part(k, ' ', 1) <> ALL (names) THEN format('array_agg(%L::%s)', d, CASE k WHEN 'tags text[]' THEN 'text' ELSE split_part(k, ' ', 2) END)
         WHEN k = 'tags text[]' THEN 'array_agg(CASE WHEN cardinality(tags::text[]) > 0 THEN to_json(tags::text[])::text END)'
         ELSE format('array_agg(coalesce(%I::%s, %L))', split_part(k, ' ', 1), split_part(k, ' ', 2), d) END,
    ', ' ORDER BY o) INTO fields
  FROM unnest(known, defaults) WITH ORDINALITY AS f (k, d, o);
  FOR page IN 0..pages - 1 BY step LOOP
    EXECUTE format('SELECT count(*) AS n, enqueue_rows($3, %s) AS fresh '
                   'FROM (SELECT * FROM ONLY %s WHERE ctid >= $1 AND ctid < $2 ORDER BY ctid) AS piece', fields, jobs)
    INTO piece USING format('(%s,0)', page)::tid, format('(%s,0)', page + step)::tid, seen + 1;
    seen := seen + piece.n;
    enqueued := enqueued + piece.fresh;
  END LOOP;
  RETURN enqueued;
END $$;
