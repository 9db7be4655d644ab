// millrace-pdf: a parser's process for PDF, started by a worker with its socket as descriptor 3 and its spool as 4.
#include "pipelines/documents/language.h"
#include "pipelines/documents/parser_protocol.h"
#include "pipelines/documents/pdf_helper/pdf_parser.h"

int main() {
  return millrace::documents::RunParserChild(millrace::documents::ParsePdf, millrace::documents::DetectLanguage);
}
