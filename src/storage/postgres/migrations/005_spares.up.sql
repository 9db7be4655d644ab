-- Claims take spare partitions, and reports say what they free: these have other parameters or results now, so that they
-- cannot just be replaced.
DROP FUNCTION IF EXISTS @schema@.claim(text, bigint, int, int, text[], smallint[], bigint, text, smallint, timestamptz,
                                       bigint);
DROP FUNCTION IF EXISTS @schema@.candidates(bigint, int, int, text[], smallint[], timestamptz);
DROP FUNCTION IF EXISTS @schema@.claim_plan(text, bigint, text[], smallint[], int[], bigint[], bigint, bigint);
DROP FUNCTION IF EXISTS @schema@.end_attempts(bigint, bigint[], int[], bigint[], smallint[], bigint[], int[], int[], text[],
                                              text[], text[]);
DROP FUNCTION IF EXISTS @schema@.report(text, bigint, bigint[], int[], bigint[], smallint[], bigint[], int[], text[], text[],
                                        text[], boolean[], int[], text[], text[], text[], smallint[], timestamptz[],
                                        bigint[], int[], int[], bigint[], text[], text[], text[], int[], bigint[],
                                        smallint[]);
