DROP TABLE document_report;
DROP TABLE element_fts;
DROP VIEW element_text;
DROP TABLE element;
DROP TABLE document;
