// Drawing: what is known becomes lines of text. Pure, so that every frame can be tested.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/monitor/overview.h"

namespace millrace::cli::monitor {

struct DeadReason {
  std::string reason;
  std::int64_t count = 0;
};

// Everything a frame shows.
struct View {
  std::string database;
  double interval = 0;               // seconds; 0: one frame
  std::optional<Overview> overview;  // the last one there was
  History history;
  std::vector<DeadReason> dead;  // the most frequent first
  std::string trouble;           // why there is no newer one; empty when it is fresh
  double stale_seconds = 0;      // how long it has been so
};

// How it may be drawn.
struct Canvas {
  std::size_t width = 0;   // columns; 0: no limit
  std::size_t height = 0;  // lines; 0: no limit
  bool colours = false;
  bool unicode = true;   // bars of the sparkline; else ASCII
  bool details = false;  // every lane, stopped and lost workers, finished runs
};

// At most canvas.height lines of at most canvas.width characters, colours aside, without line ends. Names are made
// printable.
std::vector<std::string> Draw(const View& view, const Canvas& canvas);

// One character for each rate, the highest as a full bar; '.' where it is not known.
std::string Sparkline(const std::vector<std::optional<double>>& rates, bool unicode);

// How many of `room` lines each section gets that wants so many: none more than it wants, what one leaves goes to the
// others.
std::vector<std::size_t> ShareLines(const std::vector<std::size_t>& wanted, std::size_t room);

// "1.5s", "12s", "5m", "3h", "2d".
std::string Age(double seconds);

}  // namespace millrace::cli::monitor
