#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <csignal>
#include <cstdlib>
#include <limits>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/monitor/report.h"
#include "cli/monitor/screen.h"
#include "cli/monitor/source.h"

namespace millrace::cli {
namespace {

using monitor::Look;
using monitor::View;
using Steady = std::chrono::steady_clock;

// The least and the most of --interval.
constexpr auto kShortest = std::chrono::milliseconds(100);
constexpr auto kLongest = std::chrono::hours(1);
constexpr auto kBetweenLooks = std::chrono::seconds(1);  // of --once, whose second look tells the throughput
constexpr auto kLiveAnswer = std::chrono::seconds(5);

struct MonitorOptions {
  std::string interval = "2s";
  std::int64_t run = 0;
  bool once = false, live = false, details = false;
};

// What was seen so far, and when it stopped being fresh.
class Watched {
 public:
  Watched(std::string database, Duration interval) {
    view_.database = std::move(database);
    view_.interval = std::chrono::duration<double>(interval).count();
  }

  void Add(Result<Look> look) {
    if (!look) {
      if (view_.trouble.empty()) failed_at_ = Steady::now();
      view_.trouble = look.error().message;
      return;
    }
    view_.trouble.clear();
    look_ = std::move(*look);
    view_.overview = look_->overview;
    view_.dead = look_->dead;
    view_.history.Add(look_->overview);
  }

  // As of now.
  const View& view() {
    view_.stale_seconds =
        view_.trouble.empty() ? 0 : static_cast<double>((Steady::now() - failed_at_) / std::chrono::seconds(1));
    return view_;
  }
  base::json::object Json() { return monitor::ReportJson(view(), look_ ? &*look_ : nullptr); }

 private:
  View view_;
  std::optional<Look> look_;
  Steady::time_point failed_at_;
};

// Whether the terminal's character set has the sparkline's bars.
bool IsUtf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string_view text(value);
    return text.find("UTF-8") != std::string_view::npos || text.find("utf8") != std::string_view::npos;
  }
  return false;
}

// Two looks, so that there is a throughput to tell; then one frame.
int ShowOnce(monitor::Source& source, Watched& watched, const MonitorOptions& options, bool json) {
  for (int i = 0; i < 2; ++i) {
    if (i > 0) std::this_thread::sleep_for(kBetweenLooks);
    auto look = source.Take();
    if (!look) return PrintError(look.error());
    watched.Add(std::move(look));
  }
  if (json) {
    PrintJson(watched.Json());
    return kOk;
  }
  monitor::Canvas canvas;
  canvas.unicode = IsUtf8();
  canvas.details = options.details;
  for (const std::string& line : monitor::Draw(watched.view(), canvas)) Print(line + "\n");
  return kOk;
}

// One JSON object each interval, until a signal ends it or nobody reads any more.
int StreamJson(monitor::Source& source, Watched& watched, Duration interval) {
  auto next = Steady::now();
  for (bool first = true;; first = false) {
    auto look = source.Take();
    if (!look && first) return PrintError(look.error());
    watched.Add(std::move(look));
    PrintJson(watched.Json());
    if (std::fflush(stdout) != 0) return kFailed;
    next = std::max(next + interval, Steady::now());
    std::this_thread::sleep_until(next);
  }
}

// The live view, on this thread; looks are taken on another.
class Live {
 public:
  Live(Watched& watched, bool details) : watched_(watched) {
    canvas_.colours = HasColours(stdout);
    canvas_.unicode = IsUtf8();
    canvas_.details = details;
  }

  // Returns when q, Ctrl-C or a signal says so, or the terminal is gone.
  void Run(const monitor::Signals& signals, monitor::Poller& poller) {
    monitor::Screen screen;
    while (Draw(screen)) {
      std::array<pollfd, 3> fds{{{signals.fd(), POLLIN, 0}, {poller.fd(), POLLIN, 0}, {screen.keys(), POLLIN, 0}}};
      (void)poll(fds.data(), fds.size(), 1000);  // each second, so that what is stale tells how long it has been
      if ((fds[2].revents & (POLLHUP | POLLERR)) != 0) return;
      while (const char key = screen.Key()) {
        if (key == 'q' || key == 'Q' || key == '\003') return;
        if (key == 'd') canvas_.details = !canvas_.details;
      }
      while (const int signal = signals.Next()) {
        if (signal == SIGTSTP) Stop(screen);
        if (signal != SIGTSTP && signal != SIGWINCH) return;
      }
      if (auto look = poller.Take()) watched_.Add(std::move(*look));
    }
  }

 private:
  bool Draw(const monitor::Screen& screen) {
    const monitor::ScreenSize size = monitor::Screen::Size();
    canvas_.width = size.width;
    canvas_.height = size.height;
    return screen.Show(monitor::Draw(watched_.view(), canvas_));
  }

  // Ctrl-Z: the shell gets its terminal as it was.
  static void Stop(monitor::Screen& screen) {
    screen.Leave();
    (void)raise(SIGSTOP);
    screen.Enter();
  }

  Watched& watched_;
  monitor::Canvas canvas_;
};

// The first look: what is wrong from the start is an ordinary error, before the screen is taken. False: a signal came.
bool WaitForFirst(const monitor::Signals& signals, const monitor::Poller& poller) {
  std::array<pollfd, 2> fds{{{signals.fd(), POLLIN, 0}, {poller.fd(), POLLIN, 0}}};
  while (true) {
    (void)poll(fds.data(), fds.size(), -1);
    const int signal = (fds[0].revents & POLLIN) != 0 ? signals.Next() : 0;
    if (signal == SIGTSTP) (void)raise(SIGSTOP);
    if (signal != 0 && signal != SIGTSTP && signal != SIGWINCH) return false;
    if ((fds[1].revents & POLLIN) != 0) return true;
  }
}

int ShowLive(monitor::Source source, Watched& watched, const MonitorOptions& options, Duration interval) {
  base::LogOptions quiet;
  quiet.level = base::Level::kOff;  // a line of the log would stand in the picture
  base::ConfigureLog(quiet);
  const monitor::Signals signals;  // before any other thread
  monitor::Poller poller(std::move(source), interval);
  int status = kOk;
  if (WaitForFirst(signals, poller)) {
    auto first = poller.Take();
    if (first && !*first) {
      status = PrintError(first->error());
    } else {
      if (first) watched.Add(std::move(*first));
      Live(watched, options.details).Run(signals, poller);
    }
  }
  // A database that does not answer keeps nobody: nothing is under way that could be lost.
  if (!poller.Stop(std::chrono::milliseconds(500))) _exit(status);
  return status;
}

int Monitor(const Cli& cli, const MonitorOptions& options) {
  const auto interval = base::ParseDuration(options.interval);
  if (!interval) return PrintError("--interval: " + interval.error().message, "millrace monitor --help", kUsage);
  if (*interval < kShortest || *interval > kLongest)
    return PrintError("--interval: must be from 100ms to 1h", "millrace monitor --help", kUsage);
  const bool terminal = IsTerminal(stdout);
  if (options.live && !terminal && !cli.json)
    return PrintError("--live needs a terminal on standard output", "millrace monitor --once", kUsage);
  const auto config = cli.CheckedConfig();
  if (!config) return PrintError(config.error());
  const bool once = options.once || (!terminal && !cli.json);
  monitor::SourceOptions looks;
  looks.run = options.run;
  looks.patience.tell = once;
  if (!once) looks.patience.first = looks.patience.call = kLiveAnswer;
  monitor::Source source(*config, looks);
  Watched watched(config->database(), once ? Duration(0) : *interval);
  if (once) return ShowOnce(source, watched, options, cli.json);
  if (cli.json) return StreamJson(source, watched, *interval);
  return ShowLive(std::move(source), watched, options, *interval);
}

}  // namespace

void AddMonitorCommand(CLI::App& app, Cli& cli) {
  auto options = std::make_shared<MonitorOptions>();
  CLI::App* monitor = AddCommand(app, cli, "monitor", "Watch queues, throughput, workers, runs and dead letters",
                                 "  millrace monitor                         live; q leaves, d shows details\n"
                                 "  millrace monitor --once                  one plain frame, for scripts and tickets\n"
                                 "  millrace monitor --json --interval 10s   one JSON object every ten seconds\n"
                                 "  millrace monitor --run-id 7              this run only\n",
                                 Json::kYes, [&cli, options] { return Monitor(cli, *options); });
  monitor->add_option("--interval,--refresh-interval", options->interval, "Time between two looks, such as 500ms, 5s")
      ->capture_default_str();
  CLI::Option* once =
      monitor->add_flag("--once", options->once, "Print one frame and end, as without a terminal; takes a second");
  monitor->add_flag("--live,--watch", options->live, "The live view, or an error without a terminal")->excludes(once);
  monitor->add_option("--run-id", options->run, "Of runs, show this one")
      ->check(CLI::Range(std::int64_t{1}, std::numeric_limits<std::int64_t>::max()));
  monitor->add_flag("--details", options->details, "Every priority, workers that stopped, runs that ended");
}

}  // namespace millrace::cli
