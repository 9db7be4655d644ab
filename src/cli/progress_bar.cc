#include "cli/progress_bar.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>

#include "cli/output.h"

namespace millrace::cli {
namespace {

constexpr std::size_t kBarCells = 24;

std::atomic<bool> g_bar_drawn = false;

std::size_t TerminalWidth() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string Remaining(double seconds) {
  const std::int64_t whole = std::llround(seconds);
  return whole >= 60 ? fmt::format("{}m{:02}s left", whole / 60, whole % 60) : fmt::format("{}s left", whole);
}

}  // namespace

std::string ProgressBar::Line(const documents::DocumentsProgress& progress, double seconds, std::size_t width) {
  const std::int64_t finished = progress.done + progress.failed;
  const double rate = seconds > 0 ? static_cast<double>(finished) / seconds : 0;
  std::string line;
  if (progress.listed) {
    const double part =
        progress.discovered == 0 ? 1.0 : static_cast<double>(finished) / static_cast<double>(progress.discovered);
    const auto cells = static_cast<std::size_t>(std::clamp(part, 0.0, 1.0) * kBarCells);
    line = fmt::format("[{}{}] {:>3.0f} %  ", std::string(cells, '#'), std::string(kBarCells - cells, ' '), part * 100);
  } else {
    line = "listing  ";
  }
  line += fmt::format("{} of {}{} documents  {:.0f}/s", Grouped(finished), Grouped(progress.discovered),
                      progress.listed ? "" : "+", rate);
  if (progress.failed > 0) line += fmt::format("  {} dead", Grouped(progress.failed));
  if (progress.listed && rate > 0 && progress.open > 0)
    line += "  " + Remaining(static_cast<double>(progress.open) / rate);
  return line.substr(0, width);
}

void ProgressBar::Show(const documents::DocumentsProgress& progress) {
  const Clock::time_point now = Clock::now();
  if (style_ == Style::kNone || now < next_) return;
  const double seconds = std::chrono::duration<double>(now - started_).count();
  if (style_ == Style::kBar) {
    next_ = now + std::chrono::milliseconds(100);
    fmt::print(stderr, "\r\033[K{}", Line(progress, seconds, TerminalWidth() - 1));
    std::fflush(stderr);
    drawn_ = true;
    g_bar_drawn = true;
    return;
  }
  // Not in the first two seconds: short runs print their summary only.
  const bool first = next_ == started_;
  next_ = now + std::chrono::seconds(first ? 2 : 5);
  if (!first) fmt::print(stderr, "{}\n", Line(progress, seconds, 200));
}

void ProgressBar::Clear() {
  if (!drawn_) return;
  g_bar_drawn = false;
  drawn_ = false;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
}

bool FilterLogUnderBar(base::Level, std::string_view message) {
  if (message == "Job dead" || message == "Job failed") return false;
  if (g_bar_drawn.exchange(false)) fmt::print(stderr, "\r\033[K");
  return true;
}

}  // namespace millrace::cli
