#include "cli/monitor/grid.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/output.h"

namespace millrace::cli::monitor {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kLeastName = 20;

bool Begins(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

std::size_t Characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), Begins));
}

// The first `most` characters.
std::string_view Cut(std::string_view text, std::size_t most) {
  std::size_t seen = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (Begins(text[at]) && seen++ == most) return text.substr(0, at);
  }
  return text;
}

std::string_view Code(Colour colour) {
  switch (colour) {
    case Colour::kBold:
      return "\033[1m";
    case Colour::kDim:
      return "\033[2m";
    case Colour::kRed:
      return "\033[31m";
    case Colour::kGreen:
      return "\033[32m";
    case Colour::kYellow:
      return "\033[33m";
    case Colour::kPlain:
      break;
  }
  return "";
}

}  // namespace

Line& Line::Add(std::string text, Colour colour) {
  pieces_.push_back({std::move(text), colour});
  return *this;
}

std::string Line::Text(std::size_t width, bool colours) const {
  std::string out;
  std::size_t left = width == 0 ? SIZE_MAX : width;
  for (const Piece& piece : pieces_) {
    const std::string_view text = Cut(piece.text, left);
    left -= Characters(text);
    const bool coloured = colours && piece.colour != Colour::kPlain && !text.empty();
    if (coloured) out += Code(piece.colour);
    out += text;
    if (coloured) out += "\033[0m";
  }
  return out;
}

void Grid::Add(std::vector<Cell> row) {
  for (Cell& cell : row) cell.text = Printable(cell.text);
  rows_.push_back(std::move(row));
}

std::vector<std::size_t> Grid::Widths() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = Characters(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, Characters(row[i].text));
    widths.push_back(width);
  }
  return widths;
}

std::vector<std::size_t> Grid::Fitting(const std::vector<std::size_t>& widths, std::size_t width) const {
  std::vector<std::size_t> shown;
  for (std::size_t i = 0; i < columns_.size(); ++i) shown.push_back(i);
  while (width > 0) {
    std::size_t total = 0;
    for (const std::size_t i : shown) total += widths[i] + (i == shown.front() ? 0 : kGap);
    const auto last = std::max_element(
        shown.begin(), shown.end(), [&](std::size_t a, std::size_t b) { return columns_[a].rank < columns_[b].rank; });
    if (total <= width || columns_[*last].rank == 0) break;
    shown.erase(last);
  }
  return shown;
}

// One long name may take a third of the screen, and what the figures leave: it must not push them out of it.
std::vector<std::size_t> Grid::Shared(std::vector<std::size_t> widths, std::size_t width) const {
  if (width == 0) return widths;
  const std::vector<std::size_t> wanted = widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (!columns_[i].right && columns_[i].rank == 0) widths[i] = std::min(widths[i], std::max(kLeastName, width / 3));
  }
  std::size_t taken = 0;
  for (const std::size_t i : Fitting(widths, width)) taken += widths[i] + (taken == 0 ? 0 : kGap);
  for (std::size_t i = 0; i < columns_.size() && taken < width; ++i) {
    const std::size_t more = std::min(wanted[i] - widths[i], width - taken);
    widths[i] += more;
    taken += more;
  }
  return widths;
}

std::vector<Line> Grid::Lines(std::size_t width, std::size_t most) const {
  const std::vector<std::size_t> widths = Shared(Widths(), width);
  const std::vector<std::size_t> shown = Fitting(widths, width);
  const auto line = [&](const auto& cell_of) {
    Line out;
    for (const std::size_t i : shown) {
      Cell cell = cell_of(i);
      cell.text = Shorten(cell.text, widths[i]);
      const std::string pad(widths[i] - Characters(cell.text), ' ');
      if (i != shown.front()) out.Add(std::string(kGap, ' '));
      if (columns_[i].right) out.Add(pad);
      out.Add(cell.text, cell.colour);
      if (!columns_[i].right && i != shown.back()) out.Add(pad);
    }
    return out;
  };
  std::vector<Line> lines = {line([&](std::size_t i) { return Cell{columns_[i].title, Colour::kBold}; })};
  const bool all = rows_.size() + 1 <= most;
  const std::size_t drawn = all ? rows_.size() : std::max<std::size_t>(most, 2) - 2;
  for (std::size_t r = 0; r < drawn; ++r) lines.push_back(line([&](std::size_t i) { return rows_[r][i]; }));
  if (!all) lines.push_back(Line().Add(fmt::format("  .. {} more", rows_.size() - drawn), Colour::kDim));
  return lines;
}

}  // namespace millrace::cli::monitor
