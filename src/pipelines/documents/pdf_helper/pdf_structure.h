// What a PDF says of itself beside its pages: metadata, outline, attached files.
#pragma once

#include <poppler-document.h>

#include <string>
#include <string_view>
#include <vector>

#include "pipelines/documents/parsers/parser.h"

namespace millrace::documents {

struct PdfOutlineItem {
  std::string title;
  int level = 1;
};

// Text of Poppler as UTF-8, as AppendPdfText gives it, on one line.
std::string PdfString(const poppler::ustring& text);

// Title, author, subject, keywords, producer, dates (ISO 8601, UTC), pages; the title from the XMP packet when the
// other one has none.
void ReadPdfMetadata(const poppler::document& document, DocumentMetadata& metadata);

// The outline in order, at most `max_items`.
std::vector<PdfOutlineItem> ReadPdfOutline(const poppler::document& document, std::size_t max_items);

// Adds an `attachment` for every embedded file; their content is not read.
void AddPdfAttachments(const poppler::document& document, ElementSink& sink);

// `text` as a JSON string, quotes included.
std::string PdfJsonString(std::string_view text);

}  // namespace millrace::documents
