-- An older program's migrate makes its own of these.
DROP FUNCTION IF EXISTS @schema@.lead(text, text, bigint, bigint);
DROP FUNCTION IF EXISTS @schema@.lead_in(text, text, bigint, bigint);
DROP FUNCTION IF EXISTS @schema@.insert_stage(bigint, json);
DROP FUNCTION IF EXISTS @schema@.cancel_open_jobs(bigint, int);
ALTER TABLE @schema@.run DROP COLUMN stage_job;
