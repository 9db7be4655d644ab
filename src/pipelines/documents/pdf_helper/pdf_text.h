// From the text of a PDF page, as lines in reading order, to paragraphs, list items and headings. Knows nothing of
// Poppler.
//
// A PDF has no paragraphs: it has glyphs at places. What is here are rules of thumb over lines: an empty line ends a
// paragraph, and so does a line clearly shorter than its neighbours that ends a sentence; a word cut by a hyphen at a
// line's end is joined.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace millrace::documents {

struct PdfBlock {
  enum class Kind { kParagraph, kListItem, kHeading };
  Kind kind = Kind::kParagraph;
  int level = 0;  // of a heading, 1 to 6
  int line = 0;   // where it begins on its page, from 1, counting lines with text
  std::string text;
};

// The headings a document's outline (or title) promises, to know their lines by. Each is found once.
class PdfHeadings {
 public:
  void Expect(std::string_view title, int level);
  // The level when the line (a whole line or several joined) is one of them, which is then no longer expected; else 0.
  int Take(std::string_view line);
  [[nodiscard]] bool empty() const { return expected_.empty(); }

 private:
  std::unordered_map<std::string, std::vector<int>> expected_;
};

// Text in UTF-16 as UTF-8 for SplitPdfText: ligatures (U+FB00 to U+FB06) as letters, no control characters but line
// ends, soft hyphens only where a line ends. Appends to `out`. Unit: unsigned short or char16_t, whichever this version
// of Poppler makes its texts of.
template <class Unit>
void AppendPdfText(const Unit* text, std::size_t size, std::string& out);

// The blocks of one page's text.
std::vector<PdfBlock> SplitPdfText(std::string_view text, PdfHeadings& headings);

}  // namespace millrace::documents
