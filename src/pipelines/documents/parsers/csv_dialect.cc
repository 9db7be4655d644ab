#include "pipelines/documents/parsers/csv_dialect.h"

#include <algorithm>
#include <map>
#include <vector>

namespace millrace::documents {
namespace {

constexpr std::size_t kMaxRows = 50;
constexpr std::size_t kMaxBytes = 64 << 10;

// The number of cells of the first rows that are not blank, quotes heeded.
std::vector<std::size_t> CellCounts(std::string_view text, char delimiter) {
  const bool whole = text.size() <= kMaxBytes;
  text = text.substr(0, kMaxBytes);
  std::vector<std::size_t> counts;
  std::size_t cells = 1;
  bool quoted = false, blank = true, cell_start = true;
  for (const char c : text) {
    if (quoted ? c == '"' : cell_start && c == '"') {
      quoted = !quoted;
      blank = false;
    } else if (!quoted && c == delimiter) {
      ++cells;
      blank = false;
    } else if (!quoted && c == '\n') {
      if (!blank) counts.push_back(cells);
      if (counts.size() == kMaxRows) return counts;
      cells = 1;
      blank = true;
    } else if (c != '\r' && c != ' ') {
      blank = false;
    }
    cell_start = !quoted && (c == delimiter || c == '\n');
  }
  if (!blank && (whole || counts.empty())) counts.push_back(cells);
  return counts;
}

}  // namespace

CsvDialect SniffCsv(std::string_view text) {
  CsvDialect best;
  double best_score = 0;
  for (const char delimiter : {'\t', ';', ',', '|'}) {
    const auto counts = CellCounts(text, delimiter);
    std::map<std::size_t, std::size_t> rows_by_cells;
    for (const std::size_t cells : counts) ++rows_by_cells[cells];
    for (const auto& [cells, rows] : rows_by_cells) {
      if (cells < 2) continue;
      const double share = static_cast<double>(rows) / static_cast<double>(counts.size());
      // A delimiter that gives more columns in the same share of the rows is the likelier one, a little.
      const double score = share + 0.01 * static_cast<double>(std::min<std::size_t>(cells, 20));
      if (score <= best_score) continue;
      best_score = score;
      // Prose has commas; a table of three columns has rows enough to tell.
      const std::size_t enough = delimiter == '\t' ? 3 : cells > 2 ? 4 : 8;
      best = {delimiter, cells, share >= 0.95 && rows >= enough};
    }
  }
  return best;
}

}  // namespace millrace::documents
