// Tables in text: CSV, TSV and their kin.
#include <algorithm>
#include <string>
#include <vector>

#include "base/json.h"
#include "pipelines/documents/parser_protocol.h"
#include "pipelines/documents/parsers/charset.h"
#include "pipelines/documents/parsers/csv_dialect.h"
#include "pipelines/documents/parsers/parser.h"

namespace millrace::documents {
namespace {

// Beyond this many lines a row is one element with all its text; an element for each cell would be too many.
constexpr std::ptrdiff_t kMaxRowsWithCells = 10'000;

// Takes rows off a text. Quotes may hold delimiters, ends of lines, and quotes written twice.
class RowReader {
 public:
  RowReader(std::string_view text, char delimiter) : rest_(text), delimiter_(delimiter) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  // A quote was never closed, so that it and all after it count as text.
  [[nodiscard]] bool quotes_broken() const { return quotes_broken_; }

  // The next row's cells; the views hold until the next call.
  const std::vector<std::string>& Next() {
    std::size_t count = 0;
    for (bool more = true; more; ++count) {
      if (count == cells_.size()) cells_.emplace_back();
      cells_[count].clear();
      more = TakeCell(cells_[count]);
    }
    cells_.resize(count);
    return cells_;
  }

 private:
  // Takes a cell with what ends it. True if a delimiter did.
  bool TakeCell(std::string& cell) {
    if (rest_.starts_with('"') && !quotes_broken_) TakeQuoted(cell);
    const std::size_t end = std::min(rest_.find_first_of(ends_), rest_.size());
    cell += rest_.substr(0, end);
    rest_.remove_prefix(end);
    if (rest_.empty()) return false;
    const bool delimiter = rest_[0] == delimiter_;
    rest_.remove_prefix(rest_.starts_with("\r\n") ? 2 : 1);
    return delimiter;
  }

  void TakeQuoted(std::string& cell) {
    const std::string_view before = rest_;
    for (rest_.remove_prefix(1);;) {
      const std::size_t quote = rest_.find('"');
      if (quote == std::string_view::npos) break;
      cell += rest_.substr(0, quote);
      rest_.remove_prefix(quote + 1);
      if (!rest_.starts_with('"')) return;
      cell += '"';
      rest_.remove_prefix(1);
    }
    quotes_broken_ = true;
    rest_ = before;
    cell.clear();
  }

  std::string_view rest_;
  char delimiter_;
  const std::string ends_ = std::string("\r\n") + delimiter_;
  bool quotes_broken_ = false;
  std::vector<std::string> cells_;
};

std::string_view Trim(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  return start == std::string_view::npos ? std::string_view()
                                         : text.substr(start, text.find_last_not_of(" \t\r\n") - start + 1);
}

bool IsNumber(std::string_view text) {
  return text.find_first_not_of("+-.,0123456789eE%: /") == std::string_view::npos;
}

// Names of columns: every cell has text that is no number, and no two are the same.
bool LooksLikeHeader(const std::vector<std::string>& cells) {
  std::vector<std::string_view> seen;
  for (const std::string& cell : cells) {
    const std::string_view name = Trim(cell);
    if (name.empty() ? &cell != &cells.back() : IsNumber(name) || name.size() > 100) return false;
    seen.push_back(name);
  }
  std::sort(seen.begin(), seen.end());
  return cells.size() > 1 && seen.size() > 1 && std::adjacent_find(seen.begin(), seen.end()) == seen.end();
}

class Table {
 public:
  Table(ElementSink& sink, bool with_cells) : sink_(sink), with_cells_(with_cells) {}

  void Row(const std::vector<std::string>& cells) {
    ++rows_;
    if (std::all_of(cells.begin(), cells.end(), [](const std::string& cell) { return Trim(cell).empty(); })) return;
    const bool header = rows_ == 1 && LooksLikeHeader(cells);
    header_ = header_ || header;
    columns_ = std::max(columns_, cells.size());
    const std::string location = "row " + std::to_string(rows_);
    if (!with_cells_) return AddText(cells, location);
    const std::int32_t row = sink_.Add(0, ElementType::kCsvRow, {}, location);
    const ElementType type = header ? ElementType::kTableHeaderCell : ElementType::kTableCell;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::string_view text = Trim(cells[i]);
      if (!text.empty()) sink_.Add(row, type, text, location + " column " + std::to_string(i + 1));
    }
  }

  [[nodiscard]] std::string Describe(char delimiter) const {
    base::json::object extra;
    extra["delimiter"] = std::string(1, delimiter);
    extra["rows"] = rows_;
    extra["columns"] = columns_;
    extra["header"] = header_;
    return base::ToJson(extra);
  }

 private:
  void AddText(const std::vector<std::string>& cells, const std::string& location) {
    std::string text;
    for (const std::string& cell : cells) {
      if (&cell != &cells.front()) text += " | ";
      text += Trim(cell);
    }
    sink_.Add(0, ElementType::kCsvRow, text, location);
  }

  ElementSink& sink_;
  bool with_cells_;
  bool header_ = false;
  std::size_t columns_ = 0;
  std::int64_t rows_ = 0;
};

}  // namespace

std::optional<ParseFailure> ParseCsv(const ParserInput& input, ElementSink& sink) {
  const DecodedText decoded = DecodeText(input.bytes);
  const CsvDialect dialect = SniffCsv(decoded.text);
  sink.metadata().media_type = dialect.delimiter == '\t' ? "text/tab-separated-values" : "text/csv";
  sink.metadata().charset = decoded.charset;
  if (decoded.lossy) sink.Warn("some bytes are not " + decoded.charset + " and were replaced");
  const bool with_cells = std::count(decoded.text.begin(), decoded.text.end(), '\n') <= kMaxRowsWithCells;
  RowReader rows(decoded.text, dialect.delimiter);
  Table table(sink, with_cells);
  while (!rows.at_end()) table.Row(rows.Next());
  if (rows.quotes_broken()) sink.Warn("a quote is never closed; from there on quotes are read as text");
  if (!with_cells) sink.Warn("a large table: rows are kept with their text, without an element for each cell");
  sink.metadata().extra = table.Describe(dialect.delimiter);
  return std::nullopt;
}

}  // namespace millrace::documents
