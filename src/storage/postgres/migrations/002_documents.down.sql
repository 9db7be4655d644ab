DROP TABLE @schema@.document_report;
DROP TABLE @schema@.element;
DROP TABLE @schema@.document;
