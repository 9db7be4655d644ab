-- Jobs that wait for others: one row each, and one for each unfinished job they wait for. Both go when it is decided
-- what becomes of the waiting job, so that what stands here is always open.
CREATE TABLE waiting_job (
  job INTEGER PRIMARY KEY,
  open INTEGER NOT NULL,  -- rows of dependency it has
  policy INTEGER NOT NULL,
  failed INTEGER NOT NULL -- a job it waited for that died or was cancelled; 0: none has
) STRICT;

CREATE TABLE dependency (
  needs INTEGER NOT NULL,
  job INTEGER NOT NULL,
  PRIMARY KEY (needs, job)
) STRICT, WITHOUT ROWID;
CREATE INDEX dependency_of_job ON dependency (job);
