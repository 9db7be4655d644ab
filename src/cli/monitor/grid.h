// Lines of coloured text, and tables made of them that fit a width and a height.
#pragma once

#include <string>
#include <vector>

namespace millrace::cli::monitor {

enum class Colour { kPlain, kBold, kDim, kRed, kGreen, kYellow };

// Text in pieces, each with its colour.
class Line {
 public:
  Line& Add(std::string text, Colour colour = Colour::kPlain);
  // At most `width` characters (0: all of them), colours aside; without them when `colours` is false.
  [[nodiscard]] std::string Text(std::size_t width, bool colours) const;

 private:
  struct Piece {
    std::string text;
    Colour colour;
  };
  std::vector<Piece> pieces_;
};

struct Cell {
  std::string text;
  Colour colour = Colour::kPlain;
};

struct Column {
  std::string title;
  bool right = false;  // numbers
  int rank = 0;        // the higher, the sooner it is left out when the table is too wide; 0: never
};

class Grid {
 public:
  explicit Grid(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // One cell a column. Texts are made printable.
  void Add(std::vector<Cell> row);
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  [[nodiscard]] std::size_t rows() const { return rows_.size(); }
  // The heading and its rows, `most` lines at most; the last one says how many rows are left out, if any are. Columns
  // are left out until it fits `width` (0: no limit).
  [[nodiscard]] std::vector<Line> Lines(std::size_t width, std::size_t most) const;

 private:
  [[nodiscard]] std::vector<std::size_t> Widths() const;
  [[nodiscard]] std::vector<std::size_t> Fitting(const std::vector<std::size_t>& widths, std::size_t width) const;
  [[nodiscard]] std::vector<std::size_t> Shared(std::vector<std::size_t> widths, std::size_t width) const;
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace millrace::cli::monitor
