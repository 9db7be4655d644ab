#include "cli/monitor/frame.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/clock.h"
#include "cli/monitor/grid.h"
#include "cli/output.h"

namespace millrace::cli::monitor {
namespace {

constexpr std::size_t kSparkWidth = 30;
constexpr std::size_t kLeastRows = 4;  // of a section when the screen is small: a heading and a few rows

std::string Number(std::int64_t number) { return number == 0 ? "-" : Grouped(number); }

std::string Rate(std::optional<double> rate) {
  if (!rate) return "?";
  return *rate > 0 && *rate < 10 ? fmt::format("{:.1f}/s", *rate)
                                 : Grouped(static_cast<std::int64_t>(std::llround(*rate))) + "/s";
}

Colour OfAge(std::optional<double> seconds) {
  return !seconds || *seconds < 60 ? Colour::kPlain : *seconds < 3600 ? Colour::kYellow : Colour::kRed;
}

// ---- The head: what the whole does

Line Title(const View& view) {
  Line line;
  line.Add("millrace monitor", Colour::kBold).Add("  " + Printable(view.database));
  if (view.overview) line.Add("  " + base::FormatTime(view.overview->now).substr(0, 19) + "Z");
  if (view.interval > 0) line.Add(fmt::format("  every {}  q quits", Age(view.interval)), Colour::kDim);
  return line;
}

// The text in lines of at most `width` bytes (0: no limit), broken at spaces where there are some.
std::vector<std::string> Wrapped(std::string text, std::size_t width) {
  std::vector<std::string> lines;
  while (width > 0 && text.size() > width) {
    const std::size_t space = text.rfind(' ', width);
    std::size_t end = space == std::string::npos || space == 0 ? width : space;
    while (end > 1 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // not within a character
    lines.push_back(text.substr(0, end));
    text.erase(0, end + (end == space ? 1 : 0));
  }
  lines.push_back(std::move(text));
  return lines;
}

void AddTrouble(const View& view, const Canvas& canvas, std::vector<Line>& out) {
  if (view.trouble.empty()) return;
  const std::string_view what = view.overview ? "STALE for" : "no figures for";
  const std::string text = fmt::format("{} {}: {}", what, Age(view.stale_seconds), Printable(view.trouble));
  for (std::string& line : Wrapped(text, canvas.width)) out.push_back(Line().Add(std::move(line), Colour::kRed));
}

Line Throughput(const View& view, const Canvas& canvas) {
  const auto spark = [&](const std::vector<std::optional<double>>& rates) {
    return rates.size() < 2 ? "" : " " + Sparkline(rates, canvas.unicode);
  };
  const std::optional<double> failed = view.history.FailedPerSecond();
  Line line;
  line.Add("completed ").Add(Rate(view.history.CompletedPerSecond()), Colour::kGreen);
  line.Add(spark(view.history.CompletedRates(kSparkWidth)));
  line.Add("   failed ").Add(Rate(failed), failed.value_or(0) > 0 ? Colour::kRed : Colour::kPlain);
  line.Add(spark(view.history.FailedRates(kSparkWidth)));
  return line;
}

Line Load(const Overview& overview) {
  std::int64_t slots = 0;
  std::optional<double> oldest;
  for (const Worker& worker : overview.workers) slots += worker.Present() ? worker.slots : 0;
  for (const Queue& queue : overview.queues) {
    if (queue.oldest) oldest = std::max(oldest.value_or(0), *queue.oldest);
  }
  Line line;
  line.Add(fmt::format("running {} of {} slots   backlog {}", Grouped(overview.total.running), Grouped(slots),
                       Grouped(overview.total.Depth())));
  if (oldest) line.Add(", oldest ").Add(Age(*oldest), OfAge(oldest));
  line.Add("   dead ").Add(Grouped(overview.total.dead), overview.total.dead > 0 ? Colour::kRed : Colour::kPlain);
  return line;
}

std::vector<Line> Head(const View& view, const Canvas& canvas) {
  std::vector<Line> head = {Title(view)};
  AddTrouble(view, canvas, head);
  if (!view.overview) return head;
  head.push_back(Throughput(view, canvas));
  head.push_back(Load(*view.overview));
  for (const Alert& alert : Alerts(*view.overview, view.history)) {
    const bool critical = alert.severity == Severity::kCritical;
    head.push_back(Line()
                       .Add(critical ? "CRITICAL  " : "warning   ", critical ? Colour::kRed : Colour::kYellow)
                       .Add(Printable(alert.text)));
  }
  return head;
}

// ---- The sections

void AddCounts(std::vector<Cell>& row, const Counts& counts, std::optional<double> oldest) {
  row.insert(row.end(), {{Number(counts.available)},
                         {oldest ? Age(*oldest) : "-", OfAge(oldest)},
                         {Number(counts.running)},
                         {Number(counts.scheduled)},
                         {Number(counts.retryable), counts.retryable > 0 ? Colour::kYellow : Colour::kPlain},
                         {Number(counts.waiting)},
                         {Number(counts.dead), counts.dead > 0 ? Colour::kRed : Colour::kPlain},
                         {Number(counts.completed)}});
}

Grid Queues(const Overview& overview, bool details) {
  Grid grid({{"QUEUE", false, 0},
             {"PRIORITY", false, 2},
             {"AVAILABLE", true, 0},
             {"OLDEST", true, 1},
             {"RUNNING", true, 1},
             {"SCHEDULED", true, 4},
             {"RETRYABLE", true, 3},
             {"WAITING", true, 5},
             {"DEAD", true, 2},
             {"COMPLETED", true, 6}});
  std::vector<Queue> queues = overview.queues;
  // What has work first, so that it is there when the screen is too small for all.
  std::stable_sort(queues.begin(), queues.end(), [](const Queue& a, const Queue& b) {
    return a.counts.Depth() + a.counts.running > b.counts.Depth() + b.counts.running;
  });
  for (const Queue& queue : queues) {
    const bool split = queue.lanes.size() > 1 || details;
    std::vector<Cell> row = {
        {queue.name + (queue.paused ? " (paused)" : ""), queue.paused ? Colour::kYellow : Colour::kPlain},
        {split || queue.lanes.empty() ? "" : queue.lanes[0].priority}};
    AddCounts(row, queue.counts, queue.oldest);
    grid.Add(std::move(row));
    if (!split) continue;
    for (const Lane& lane : queue.lanes) {
      std::vector<Cell> part = {{""}, {lane.priority}};
      AddCounts(part, lane.counts, std::nullopt);
      for (Cell& cell : part) cell.colour = Colour::kDim;
      grid.Add(std::move(part));
    }
  }
  return grid;
}

Colour OfState(std::string_view state) {
  return state == "active"                      ? Colour::kGreen
         : state == "silent" || state == "lost" ? Colour::kRed
         : state == "draining"                  ? Colour::kYellow
                                                : Colour::kDim;
}

Grid Workers(const Overview& overview, bool details) {
  Grid grid({{"WORKER", false, 0},
             {"STATE", false, 0},
             {"RUNNING", true, 1},
             {"SLOTS", true, 2},
             {"HEARTBEAT", true, 1},
             {"TYPE", false, 3},
             {"HOST", false, 4},
             {"PID", true, 5}});
  std::vector<Worker> workers = overview.workers;
  const auto rank = [](const Worker& worker) { return worker.state == "silent" ? 0 : worker.Present() ? 1 : 2; };
  std::stable_sort(workers.begin(), workers.end(), [&](const Worker& a, const Worker& b) { return rank(a) < rank(b); });
  for (const Worker& worker : workers) {
    if (!worker.Present() && !details) continue;
    const Colour colour = OfState(worker.state);
    grid.Add({{worker.id},
              {worker.state, colour},
              {Number(worker.running)},
              {Number(worker.slots)},
              {Age(worker.heartbeat_age), worker.state == "silent" ? Colour::kRed : Colour::kPlain},
              {worker.type},
              {worker.host},
              {worker.pid == 0 ? "-" : std::to_string(worker.pid)}});
  }
  return grid;
}

Grid Runs(const Overview& overview, bool details) {
  Grid grid({{"RUN", true, 0},
             {"PIPELINE", false, 0},
             {"STATE", false, 1},
             {"PROGRESS", true, 0},
             {"OPEN", true, 2},
             {"COMPLETED", true, 3},
             {"DEAD", true, 2},
             {"STARTED", true, 4}});
  for (const Run& run : overview.runs) {
    if (run.state != "active" && !details) continue;
    const auto progress = run.Progress();
    // Until discovery is done nobody knows how much there is.
    const std::string shown = run.state == "active" && !run.discovery_done ? "discovering"
                              : progress ? fmt::format("{:.0f} %", std::floor(100 * *progress))
                                         : "-";
    grid.Add({{std::to_string(run.id)},
              {run.pipeline},
              {run.state},
              {shown},
              {Number(run.open)},
              {Number(run.completed)},
              {Number(run.dead), run.dead > 0 ? Colour::kRed : Colour::kPlain},
              {Age(run.age)}});
  }
  return grid;
}

Grid Dead(const std::vector<DeadReason>& reasons) {
  Grid grid({{"DEAD LETTERS", true, 0}, {"REASON", false, 0}});
  for (const DeadReason& reason : reasons) grid.Add({{Grouped(reason.count), Colour::kRed}, {reason.reason}});
  return grid;
}

}  // namespace

std::string Age(double seconds) {
  if (seconds < 10 && seconds != std::floor(seconds)) return fmt::format("{:.1f}s", seconds);
  const auto whole = static_cast<std::int64_t>(seconds);
  if (whole < 120) return fmt::format("{}s", whole);
  if (whole < 7200) return fmt::format("{}m", whole / 60);
  if (whole < 172800) return fmt::format("{}h", whole / 3600);
  return fmt::format("{}d", whole / 86400);
}

std::string Sparkline(const std::vector<std::optional<double>>& rates, bool unicode) {
  constexpr std::array<std::string_view, 8> kBars = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  constexpr std::array<std::string_view, 8> kAscii = {"_", "_", "-", "-", "=", "=", "#", "#"};
  double highest = 0;
  for (const auto& rate : rates) highest = std::max(highest, rate.value_or(0));
  std::string out;
  for (const auto& rate : rates) {
    if (!rate) {
      out += '.';
      continue;
    }
    const double part = highest > 0 ? *rate / highest : 0;
    const auto level = static_cast<std::size_t>(std::lround(part * (kBars.size() - 1)));
    out += unicode ? kBars[level] : kAscii[level];
  }
  return out;
}

std::vector<std::size_t> ShareLines(const std::vector<std::size_t>& wanted, std::size_t room) {
  std::vector<std::size_t> given(wanted.size(), 0);
  // One line to each in turn that still wants one: even, and what one leaves goes to the others.
  for (bool any = true; any && room > 0;) {
    any = false;
    for (std::size_t i = 0; i < wanted.size() && room > 0; ++i) {
      if (given[i] == wanted[i]) continue;
      ++given[i];
      --room;
      any = true;
    }
  }
  return given;
}

std::vector<std::string> Draw(const View& view, const Canvas& canvas) {
  std::vector<Line> lines = Head(view, canvas);
  std::vector<Grid> sections;
  if (view.overview) {
    sections = {Queues(*view.overview, canvas.details), Workers(*view.overview, canvas.details),
                Runs(*view.overview, canvas.details), Dead(view.dead)};
    std::erase_if(sections, [](const Grid& grid) { return grid.empty(); });
  }
  std::vector<std::size_t> wanted;
  for (const Grid& grid : sections) wanted.push_back(grid.rows() + 2);  // a blank line and the heading
  const std::size_t room = canvas.height == 0 ? SIZE_MAX : canvas.height - std::min(canvas.height, lines.size());
  std::vector<std::size_t> given = ShareLines(wanted, room);
  const auto cramped = [&] {
    for (std::size_t i = 0; i < given.size(); ++i) {
      if (given[i] < std::min(kLeastRows, wanted[i])) return true;
    }
    return false;
  };
  // The last ones go, so that the first are there on a screen of any height.
  while (cramped()) {
    sections.pop_back();
    wanted.pop_back();
    given = ShareLines(wanted, room);
  }
  for (std::size_t i = 0; i < sections.size(); ++i) {
    lines.emplace_back();
    const std::vector<Line> part = sections[i].Lines(canvas.width, given[i] - 1);
    lines.insert(lines.end(), part.begin(), part.end());
  }
  if (canvas.height > 0) lines.resize(std::min(lines.size(), canvas.height));
  std::vector<std::string> out;
  out.reserve(lines.size());
  for (const Line& line : lines) out.push_back(line.Text(canvas.width, canvas.colours));
  return out;
}

}  // namespace millrace::cli::monitor
