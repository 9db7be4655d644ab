-- Jobs that wait for others: one row each, and one for each unfinished job they wait for. Both go when it is decided
-- what becomes of the waiting job, so that what stands here is always open. Who changes them has locked the job's row.
CREATE TABLE @schema@.waiting_job (
  job bigint PRIMARY KEY,
  failed bigint,            -- a job it waited for that died or was cancelled
  open int NOT NULL,        -- rows of dependency it has
  policy smallint NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

CREATE TABLE @schema@.dependency (
  needs bigint NOT NULL,
  job bigint NOT NULL,
  PRIMARY KEY (needs, job)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX dependency_of_job ON @schema@.dependency (job);

-- These take more parameters now. An older program's would stand beside them, and calls be ambiguous.
DROP FUNCTION IF EXISTS @schema@.insert_jobs(text[], text[], text[], smallint[], timestamptz[], bigint[], int[], int[],
  bigint[], text[], text[], bigint[], text[], bigint[], boolean);
DROP FUNCTION IF EXISTS @schema@.insert_unique(timestamptz, bigint[], timestamptz[], bigint[], bigint[], int[], int[],
  smallint[], text[], text[], text[], text[], text[], text[]);
DROP FUNCTION IF EXISTS @schema@.report(text, bigint, bigint[], int[], bigint[], smallint[], bigint[], int[], text[],
  text[], text[], boolean[], int[], text[], text[], text[], smallint[], timestamptz[], bigint[], int[], int[], bigint[],
  text[], text[], text[]);
DROP FUNCTION IF EXISTS @schema@.emit_jobs(text, bigint, bigint, int, bigint, text[], text[], text[], smallint[],
  timestamptz[], bigint[], int[], int[], bigint[], text[], text[], text[]);
DROP FUNCTION IF EXISTS @schema@.enqueue_many(text[], jsonb[], text, text, timestamptz, interval, int, interval, text[],
  text[], text[], bigint);
DROP FUNCTION IF EXISTS @schema@.enqueue(text, jsonb, text, text, timestamptz, interval, int, interval, text, text,
  text[], bigint);
