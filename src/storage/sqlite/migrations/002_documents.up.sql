-- What the documents pipeline has read: documents, their elements, and the full-text index over them.
--
-- element.id is document.doc * 16777216 + the element's index, so that one integer key orders a document's elements, is
-- the index's rowid, and needs no second index. Ids for people (element ids, previews, content hashes of elements) follow
-- from what is stored and are not stored.
CREATE TABLE document (
  doc INTEGER PRIMARY KEY,
  document_id TEXT NOT NULL UNIQUE,
  source TEXT NOT NULL,
  path TEXT NOT NULL,
  size INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  content_hash TEXT,
  parser_version INTEGER NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('parsed', 'unsupported', 'failed', 'skipped')),
  reason TEXT NOT NULL DEFAULT '',
  message TEXT NOT NULL DEFAULT '',
  media_type TEXT NOT NULL DEFAULT '',
  title TEXT NOT NULL DEFAULT '',
  author TEXT NOT NULL DEFAULT '',
  language TEXT NOT NULL DEFAULT '',
  charset TEXT NOT NULL DEFAULT '',
  pages INTEGER NOT NULL DEFAULT 0,
  metadata TEXT NOT NULL DEFAULT '{}',
  warnings TEXT NOT NULL DEFAULT '[]',
  element_count INTEGER NOT NULL DEFAULT 0,
  text_bytes INTEGER NOT NULL DEFAULT 0,
  parse_us INTEGER NOT NULL DEFAULT 0,
  parsed_at INTEGER NOT NULL,
  run_id INTEGER NOT NULL,
  UNIQUE (source, path)
) STRICT;

CREATE TABLE element (
  id INTEGER PRIMARY KEY,
  parent INTEGER NOT NULL,
  type TEXT NOT NULL,
  level INTEGER NOT NULL,
  location TEXT NOT NULL,
  text TEXT NOT NULL,
  metadata TEXT
) STRICT;

-- What is searched: each element's own text, and with a document's root its title and path.
CREATE VIEW element_text AS
SELECT id,
       CASE WHEN (id & 16777215) = 0
            THEN (SELECT title || ' ' || path FROM document WHERE doc = (id >> 24)) ELSE '' END AS name,
       text
  FROM element
 WHERE text <> '' OR (id & 16777215) = 0;

-- Keeps no copy of the text: it reads the view. Rows go in and out with the documents', in the same transaction.
CREATE VIRTUAL TABLE element_fts USING fts5(
  name, text, content = 'element_text', content_rowid = 'id', tokenize = 'porter unicode61 remove_diacritics 2');
INSERT INTO element_fts (element_fts, rank) VALUES ('rank', 'bm25(3.0, 1.0)');

CREATE TABLE document_report (
  run_id INTEGER PRIMARY KEY,
  created_at INTEGER NOT NULL,
  report TEXT NOT NULL
) STRICT;
