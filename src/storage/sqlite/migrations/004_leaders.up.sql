-- Whose job leads a run: the latest of its discovery and final stages.
ALTER TABLE run ADD COLUMN stage_job INTEGER;
