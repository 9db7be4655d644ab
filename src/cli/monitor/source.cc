#include "cli/monitor/source.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>

#include "base/thread_name.h"
#include "base/try.h"
#include "cli/output.h"

namespace millrace::cli::monitor {
namespace {

namespace json = base::json;
using Steady = std::chrono::steady_clock;

constexpr auto kDeadInterval = std::chrono::seconds(5);
constexpr int kDeadShare = 20;  // counting dead letters takes at most one part in so many of the time

}  // namespace

Source::Source(const runtime::Config& config, SourceOptions options)
    : config_(config), options_(options), stale_threshold_(config.worker().stale_threshold) {}

Result<Look> Source::Take() {
  const bool kept = backend_ != nullptr;
  auto look = TakeOnce();
  // The owner may have ended, or restarted, since the last look. One that hangs has been waited for.
  if (!look && kept && look.error().code != ErrorCode::kTimeout) {
    backend_.reset();
    look = TakeOnce();
  }
  if (!look || backend_->OwnsFile()) backend_.reset();
  return look;
}

Result<Look> Source::TakeOnce() {
  if (backend_ == nullptr) {
    MILLRACE_ASSIGN(backend_, Backend::Open(config_, Intent::kLook, "millrace monitor", options_.patience));
  }
  std::map<std::string, std::string> query;
  if (options_.run > 0) query["run"] = std::to_string(options_.run);
  query["limit"] = std::to_string(options_.runs);
  MILLRACE_ASSIGN(json::object answer, backend_->Get("/api/v1/overview", std::move(query)));
  MILLRACE_ASSIGN(Overview overview, ReadOverview(answer, stale_threshold_));
  MILLRACE_TRY(ReadDead(overview.total.dead));
  return Look{std::move(answer), std::move(overview), dead_};
}

Result<void> Source::ReadDead(std::int64_t total) {
  const auto begun = Steady::now();
  if (total == dead_total_ || begun < next_dead_) return {};
  dead_.clear();
  if (total > 0) {
    MILLRACE_ASSIGN(const json::object analysis, backend_->Get("/api/v1/dead/analyze"));
    for (const json::value& value : analysis.at("by_reason").as_array())
      dead_.push_back({Field(value.as_object(), "reason"), NumberField(value.as_object(), "count")});
  }
  dead_total_ = total;
  const auto ended = Steady::now();
  next_dead_ = ended + std::max<Steady::duration>(kDeadInterval, kDeadShare * (ended - begun));
  return {};
}

struct Poller::Shared {
  explicit Shared(Source source) : source(std::move(source)), fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~Shared() {
    if (fd >= 0) close(fd);
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  Source source;  // the thread's
  const int fd;
  std::mutex mutex;
  std::condition_variable_any changed;
  std::optional<Result<Look>> result;
  bool ended = false;
};

Poller::Poller(Source source, Duration interval) : shared_(std::make_unique<Shared>(std::move(source))) {
  thread_ = std::jthread([shared = shared_.get(), interval](const std::stop_token& stop) {
    base::NameThread("mr-monitor");
    while (!stop.stop_requested()) {
      const auto next = Steady::now() + interval;
      auto look = shared->source.Take();
      std::unique_lock lock(shared->mutex);
      shared->result = std::move(look);
      (void)eventfd_write(shared->fd, 1);
      shared->changed.wait_until(lock, stop, next, [] { return false; });
    }
    const std::lock_guard lock(shared->mutex);
    shared->ended = true;
    shared->changed.notify_all();
  });
}

Poller::~Poller() = default;

int Poller::fd() const { return shared_->fd; }

std::optional<Result<Look>> Poller::Take() {
  const std::lock_guard lock(shared_->mutex);
  eventfd_t ignored = 0;
  (void)eventfd_read(shared_->fd, &ignored);
  return std::exchange(shared_->result, std::nullopt);
}

bool Poller::Stop(Duration patience) {
  thread_.request_stop();
  std::unique_lock lock(shared_->mutex);
  return shared_->changed.wait_for(lock, patience, [&] { return shared_->ended; });
}

}  // namespace millrace::cli::monitor
