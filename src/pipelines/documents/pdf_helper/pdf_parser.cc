#include "pipelines/documents/pdf_helper/pdf_parser.h"

#include <poppler-document.h>
#include <poppler-global.h>
#include <poppler-page.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "pipelines/documents/parser_protocol.h"
#include "pipelines/documents/pdf_helper/pdf_structure.h"
#include "pipelines/documents/pdf_helper/pdf_text.h"

namespace millrace::documents {
namespace {

constexpr std::size_t kMaxOutline = 100'000;
constexpr std::size_t kMaxComplaint = 300;  // bytes
constexpr int kMaxBadPages = 100;           // one after the other; then the rest is given up

// What Poppler complains of while this lives, instead of on stderr.
class Complaints {
 public:
  Complaints() {
    poppler::set_debug_error_function(
        [](const std::string& message, void* self) { static_cast<Complaints*>(self)->Take(message); }, this);
  }
  ~Complaints() {
    poppler::set_debug_error_function([](const std::string&, void*) {}, nullptr);
  }
  Complaints(const Complaints&) = delete;
  Complaints& operator=(const Complaints&) = delete;

  // "(2 complaints, the first: Syntax Error: ...)", or empty.
  [[nodiscard]] std::string Summary() const {
    if (count_ == 0) return {};
    return std::to_string(count_) + (count_ == 1 ? " complaint: " : " complaints, the first: ") + first_;
  }

 private:
  void Take(const std::string& message) {
    if (++count_ != 1) return;
    first_ = ReplaceBadUtf8(std::string_view(message).substr(0, kMaxComplaint));
    while (!first_.empty() && (first_.back() == '\n' || first_.back() == ' ')) first_.pop_back();
    if (first_.starts_with("poppler/error: ")) first_.erase(0, 15);
  }

  std::size_t count_ = 0;
  std::string first_;
};

// "1, 2, 5" of at most ten numbers.
std::string Listed(const std::vector<int>& numbers) {
  std::string out;
  for (std::size_t i = 0; i < numbers.size() && i < 10; ++i) out += (i == 0 ? "" : ", ") + std::to_string(numbers[i]);
  if (numbers.size() > 10) out += " and " + std::to_string(numbers.size() - 10) + " more";
  return out;
}

class PdfParser {
 public:
  PdfParser(const poppler::document& document, ElementSink& sink) : document_(document), sink_(sink) {}

  void Parse() {
    ReadPdfMetadata(document_, sink_.metadata());
    const std::vector<PdfOutlineItem> outline = ReadPdfOutline(document_, kMaxOutline);
    for (const PdfOutlineItem& item : outline) headings_.Expect(item.title, item.level);
    headings_.Expect(sink_.metadata().title, 1);
    ReadPages();
    for (std::size_t i = 0; i < outline.size(); ++i) {
      sink_.Add(0, ElementType::kOutlineItem, outline[i].title, "outline " + std::to_string(i + 1), outline[i].level);
    }
    AddPdfAttachments(document_, sink_);
  }

 private:
  void ReadPages() {
    const int pages = document_.pages();
    int bad_in_a_row = 0;
    for (int page = 0; page < pages; ++page) {
      bad_in_a_row = ReadPage(page) ? 0 : bad_in_a_row + 1;
      if (bad_in_a_row < kMaxBadPages) continue;
      sink_.Warn("given up after " + std::to_string(kMaxBadPages) + " unreadable pages, at page " +
                 std::to_string(page + 1) + " of " + std::to_string(pages));
      break;
    }
    if (!bad_.empty()) sink_.Warn("unreadable pages: " + Listed(bad_));
    if (!any_text_) {
      sink_.Warn("no text; it may be scanned");
    } else if (!empty_.empty()) {
      sink_.Warn("pages without text, empty or scanned: " + Listed(empty_));
    }
  }

  // False: the page cannot be read.
  bool ReadPage(int index) {
    const std::string location = "page " + std::to_string(index + 1);
    text_.clear();
    bool good = false;
    try {
      const std::unique_ptr<poppler::page> page(document_.create_page(index));
      good = page != nullptr;
      if (good) {
        // In reading order: as fast as the default, which lays the text out by spaces; text_list(), with boxes and
        // fonts, takes 1.4 to 1.7 times as long.
        const poppler::ustring text = page->text(poppler::rectf(), poppler::page::non_raw_non_physical_layout);
        AppendPdfText(text.data(), text.size(), text_);
      }
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception&) {
      good = false;
    }
    if (!good) bad_.push_back(index + 1);
    const std::int32_t parent = sink_.Add(0, ElementType::kPage, {}, location);
    const std::vector<PdfBlock> blocks = SplitPdfText(text_, headings_);
    if (good && blocks.empty()) empty_.push_back(index + 1);
    any_text_ = any_text_ || !blocks.empty();
    AddBlocks(blocks, parent, location);
    return good;
  }

  void AddBlocks(const std::vector<PdfBlock>& blocks, std::int32_t page, const std::string& page_location) {
    std::int32_t list = -1;
    for (const PdfBlock& block : blocks) {
      const std::string location = page_location + " line " + std::to_string(block.line);
      if (block.kind != PdfBlock::Kind::kListItem) list = -1;
      switch (block.kind) {
        case PdfBlock::Kind::kHeading:
          sink_.Add(page, ElementType::kHeader, block.text, location, block.level);
          break;
        case PdfBlock::Kind::kListItem:
          if (list == -1) list = sink_.Add(page, ElementType::kList, {}, location);
          sink_.Add(list, ElementType::kListItem, block.text, location, 1);
          break;
        case PdfBlock::Kind::kParagraph:
          sink_.Add(page, ElementType::kParagraph, block.text, location);
          break;
      }
    }
  }

  const poppler::document& document_;
  ElementSink& sink_;
  PdfHeadings headings_;
  std::string text_;
  std::vector<int> bad_;
  std::vector<int> empty_;
  bool any_text_ = false;
};

}  // namespace

std::optional<ParseFailure> ParsePdf(const ParserInput& input, ElementSink& sink) {
  if (input.bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    return ParseFailure{"too_large", "a PDF of more than 2 GiB cannot be read"};
  }
  const Complaints complaints;
  const std::unique_ptr<poppler::document> document(
      poppler::document::load_from_raw_data(input.bytes.data(), static_cast<int>(input.bytes.size())));
  const std::string summary = complaints.Summary();
  if (document == nullptr) {
    return ParseFailure{"broken", "the PDF cannot be opened" + (summary.empty() ? "" : " (" + summary + ")")};
  }
  if (document->is_locked()) {
    return ParseFailure{"encrypted", "the PDF is encrypted and needs a password to open"};
  }
  if (document->pages() <= 0) {
    return ParseFailure{"broken", "the PDF has no pages" + (summary.empty() ? "" : " (" + summary + ")")};
  }
  PdfParser(*document, sink).Parse();
  if (const std::string all = complaints.Summary(); !all.empty()) sink.Warn("the PDF is damaged in places: " + all);
  return std::nullopt;
}

}  // namespace millrace::documents
