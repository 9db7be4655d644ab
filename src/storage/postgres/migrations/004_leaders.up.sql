-- Whose job leads a run: the latest of its discovery and final stages.
ALTER TABLE @schema@.run ADD COLUMN stage_job bigint;

-- These have other parameters or results now, so that they cannot just be replaced.
DROP FUNCTION IF EXISTS @schema@.lead(text, bigint, bigint);
DROP FUNCTION IF EXISTS @schema@.insert_stage(bigint, json);
