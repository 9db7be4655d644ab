-- What the documents pipeline has read: documents, their elements, and the full-text index over them.
--
-- element.id is document.doc * 16777216 + the element's index, so that one integer key orders a document's elements and
-- needs no second index. Ids for people (element ids, previews, content hashes of elements) follow from what is stored
-- and are not stored. Sources and paths are ordered by their bytes on every server.
CREATE TABLE @schema@.document (
  doc bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  size bigint NOT NULL,
  mtime_ns bigint NOT NULL,
  pages bigint NOT NULL DEFAULT 0,
  element_count bigint NOT NULL DEFAULT 0,
  text_bytes bigint NOT NULL DEFAULT 0,
  parse_us bigint NOT NULL DEFAULT 0,
  parsed_at bigint NOT NULL,
  run_id bigint NOT NULL,
  parser_version int NOT NULL,
  document_id text COLLATE "C" NOT NULL UNIQUE, -- a hash of source and path: one document for each
  source text COLLATE "C" NOT NULL,
  path text COLLATE "C" NOT NULL,
  content_hash text,
  status text NOT NULL CHECK (status IN ('parsed', 'unsupported', 'failed', 'skipped')),
  reason text COLLATE "C" NOT NULL DEFAULT '',
  message text NOT NULL DEFAULT '',
  media_type text NOT NULL DEFAULT '',
  title text NOT NULL DEFAULT '',
  author text NOT NULL DEFAULT '',
  language text NOT NULL DEFAULT '',
  charset text NOT NULL DEFAULT '',
  metadata text NOT NULL DEFAULT '{}',
  warnings text NOT NULL DEFAULT '[]'
) WITH (fillfactor = 90);
-- A source's documents in order of path. An index takes no row of more than about 2700 bytes, and a path alone may have
-- 4096: beginnings order all but those that have them in common.
CREATE INDEX document_order ON @schema@.document (hashtextextended(source, 0), left(path, 256));

-- words: those of the text as the SQLite driver's index has them (storage/tokenizer.h), weight D; with a document's root,
-- first those of its title and path, weight A. Made by the program, so that both databases find the same, whatever this
-- server's locale, dictionaries and extensions are.
CREATE TABLE @schema@.element (
  id bigint PRIMARY KEY,
  parent int NOT NULL,
  level smallint NOT NULL,
  type text NOT NULL,
  location text NOT NULL,
  text text NOT NULL,
  metadata text,
  words tsvector NOT NULL
);
CREATE INDEX element_words ON @schema@.element USING gin (words);

-- Until a run is over its report is empty, and `reread` counts its files that were read again and had not changed.
CREATE TABLE @schema@.document_report (
  run_id bigint PRIMARY KEY,
  created_at bigint NOT NULL,
  reread bigint NOT NULL DEFAULT 0,
  report text NOT NULL
) WITH (fillfactor = 50);
