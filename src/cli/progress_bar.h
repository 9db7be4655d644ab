// How far a run is, on standard error: a bar that redraws itself on a terminal, else a line now and then.
#pragma once

#include <chrono>
#include <string>

#include "base/log.h"
#include "pipelines/documents/report.h"

namespace millrace::cli {

class ProgressBar {
 public:
  enum class Style { kBar, kLines, kNone };
  explicit ProgressBar(Style style) : style_(style) {}
  ~ProgressBar() { Clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // Redraws if it is time to.
  void Show(const documents::DocumentsProgress& progress);
  // Takes the bar off the terminal.
  void Clear();
  // The line itself, for tests: `width` columns at most.
  static std::string Line(const documents::DocumentsProgress& progress, double seconds, std::size_t width);

 private:
  using Clock = std::chrono::steady_clock;
  const Style style_;
  const Clock::time_point started_ = Clock::now();
  Clock::time_point next_ = started_;
  bool drawn_ = false;
};

// A filter for the log (base::LogOptions) while a bar is drawn: takes the bar away before a line is written, and drops
// lines about single jobs, which the summary tells together.
bool FilterLogUnderBar(base::Level level, std::string_view message);

}  // namespace millrace::cli
