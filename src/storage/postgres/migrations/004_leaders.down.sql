-- An older program's migrate makes its own of these.
DROP FUNCTION IF EXISTS @schema@.lead(text, text, bigint, bigint);
DROP FUNCTION IF EXISTS @schema@.lead_in(text, text, bigint, bigint);
DROP FUNCTION IF EXISTS @schema@.insert_stage(bigint, json);
DROP FUNCTION IF EXISTS @schema@.cancel_open_jobs(bigint, int);
DROP FUNCTION IF EXISTS @schema@.bad_job(text[], jsonb[], text[], text[], text, bigint);
DROP FUNCTION IF EXISTS @schema@.enqueue_from(regclass);
DROP FUNCTION IF EXISTS @schema@.enqueue_rows(bigint, text[], jsonb[], text[], text[], timestamptz[], int[], interval[],
                                              text[], text[], text[]);
ALTER TABLE @schema@.run DROP COLUMN stage_job;
