-- Runs: their open work is counted in the transactions that change it, and their final stages start exactly once.

-- Enqueues one job template of a run; its id, or NULL when it is a duplicate of another run's job.
CREATE OR REPLACE FUNCTION @schema@.insert_stage(of_run bigint, stage json) RETURNS bigint
LANGUAGE sql SET search_path = @schema@, pg_catalog AS $$
  SELECT CASE WHEN NOT duplicate THEN id END FROM insert_jobs(
    ARRAY[stage ->> 'kind'], ARRAY[stage ->> 'args'], ARRAY[stage ->> 'queue'],
    ARRAY[(stage ->> 'priority')::smallint],
    ARRAY['epoch'::timestamptz + (stage ->> 'run_at')::bigint * interval '1 microsecond'],
    ARRAY[(stage ->> 'delay')::bigint], ARRAY[(stage ->> 'max_attempts')::int], ARRAY[(stage ->> 'max_crashes')::int],
    ARRAY[(stage ->> 'timeout')::bigint], ARRAY[stage ->> 'partition_key'], ARRAY[stage ->> 'unique_key'],
    ARRAY[of_run], ARRAY[stage ->> 'tags'], NULL, false)
$$;

-- Starts the next final stage of each run whose discovery is done and that has nothing open, or completes it. Called after
-- the commit that may have emptied it, by whoever made that commit, and by maintenance should that one have died: the
-- run's row is locked, so of all who call, one acts. A run that another transaction keeps for longer (somebody's that
-- enqueues in it and stays open) is left to maintenance: neither the caller nor other runs wait for it.
CREATE OR REPLACE FUNCTION @schema@.advance_runs(ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET lock_timeout = '500ms' AS $$
DECLARE
  of_run bigint;
  r run;
BEGIN
  FOR of_run IN SELECT DISTINCT i FROM unnest(ids) AS i ORDER BY i LOOP
    BEGIN
      SELECT * INTO r FROM run WHERE id = of_run FOR UPDATE;
      -- A final stage may turn out to be a duplicate: then the next one's turn has come.
      WHILE r.state = 0 AND r.discovery_done AND run_open(of_run) = 0 LOOP
        IF r.finals_started < json_array_length(r.finals) THEN
          UPDATE run SET finals_started = finals_started + 1, stage_job = insert_stage(of_run, r.finals -> r.finals_started)
          WHERE id = of_run RETURNING * INTO r;
        ELSE
          UPDATE run SET state = 1, finished_at = clock() WHERE id = of_run RETURNING * INTO r;
        END IF;
      END LOOP;
    EXCEPTION WHEN lock_not_available THEN NULL;
    END;
  END LOOP;
END $$;

-- Runs whose turn was missed.
CREATE OR REPLACE FUNCTION @schema@.advance_all_runs() RETURNS void
LANGUAGE sql SET search_path = @schema@, pg_catalog AS $$
  SELECT advance_runs(ids) FROM (SELECT array_agg(id ORDER BY id) AS ids FROM run
                                 WHERE state = 0 AND discovery_done AND run_open(id) = 0) AS due WHERE ids IS NOT NULL
$$;

CREATE OR REPLACE FUNCTION @schema@.start_run(of_pipeline text, of_identity text, with_spec text, discovery json,
                                              with_finals json, OUT id bigint, OUT generation bigint, OUT joined boolean)
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog AS $$
#variable_conflict use_column
DECLARE
  r run;
BEGIN
  -- Starters of one identity take turns, so that each sees what the one before it did.
  PERFORM pg_advisory_xact_lock(hashtextextended('@schema@ run ' || of_identity, 0));
  SELECT * INTO r FROM run WHERE identity = of_identity AND state = 0 FOR UPDATE;
  joined := FOUND;
  IF NOT joined THEN
    INSERT INTO run (generation, started_at, pipeline, identity, spec, finals)
    SELECT coalesce(max(generation), 0) + 1, clock(), of_pipeline, of_identity, with_spec, with_finals
    FROM run WHERE identity = of_identity
    RETURNING * INTO r;
  END IF;
  -- A discovery that ended without saying that it is done starts again.
  IF NOT joined OR (NOT r.discovery_done AND run_open(r.id) = 0) THEN
    UPDATE run SET stage_job = insert_stage(r.id, discovery) WHERE run.id = r.id;
  END IF;
  id := r.id;
  generation := r.generation;
END $$;

-- Cancels the run itself; what is open in it is for cancel_open_jobs, in a transaction that comes after: from this commit
-- on nothing is added, and no lock of the run is held while jobs are locked.
CREATE OR REPLACE FUNCTION @schema@.cancel_run(of_run bigint) RETURNS void
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM run WHERE id = of_run) THEN
    RAISE EXCEPTION 'no run %', of_run USING ERRCODE = 'MR004', HINT = '''millrace runs list'' shows them';
  END IF;
  UPDATE run SET state = 2, finished_at = clock() WHERE id = of_run AND state = 0;
END $$;
