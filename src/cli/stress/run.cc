#include "cli/stress/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "base/try.h"
#include "cli/stress/faults.h"
#include "cli/stress/load.h"
#include "cli/stress/recovery.h"
#include "runtime/client_impl.h"

namespace millrace::cli::stress {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kTick = std::chrono::milliseconds(20);
constexpr double kSampleEvery = 0.1;
constexpr int kMostFailures = 20;                       // of workers to start, in a row
constexpr double kWithoutProgress = 60;                 // seconds, before the rest counts as lost
constexpr auto kPatience = std::chrono::seconds(40);    // for workers to end in order
constexpr auto kComesBack = std::chrono::seconds(120);  // for the database to answer at the end

// The account's own connection is not among those that are terminated.
StorageOptions BooksStorage(const Options& options) {
  StorageOptions storage = options.storage;
  storage.owner = "millrace stress";
  if (options.postgres) storage.url += "-books";  // the URL ends with the connections' name
  return storage;
}

class Run {
 public:
  Run(const Options& options, const Ledger& ledger, const Context& context)
      : options_(options),
        ledger_(ledger),
        context_(context),
        fleet_(context.worker_arguments, options.postgres ? options.workers : 1, context.log) {}

  Result<Findings> Go() {
    MILLRACE_TRY(Begin());
    Faults faults(options_, fleet_, books_ ? &*books_ : nullptr);
    MILLRACE_TRY(LoadAndBreak(faults));
    faults.Cease();
    MILLRACE_TRY(Drain());
    fleet_.End(kPatience);
    MILLRACE_TRY(Settle());
    Sum(faults);
    return std::move(findings_);
  }

 private:
  [[nodiscard]] double Now() const { return std::chrono::duration<double>(Clock::now() - begun_).count(); }
  [[nodiscard]] double Duration() const { return std::chrono::duration<double>(options_.duration).count(); }
  // Without faults, to see the full rate.
  [[nodiscard]] double WarmUp() const { return std::clamp(Duration() / 5, 2.0, 5.0); }

  Result<void> Begin() {
    if (!options_.postgres) return {};
    MILLRACE_ASSIGN(books_, Client::open(BooksStorage(options_)));
    MILLRACE_TRY(ledger_.Make(*books_));
    MILLRACE_ASSIGN(orders_, Client::open(options_.storage));
    begun_ = Clock::now();
    load_.emplace(
        *orders_, options_, ledger_, [](const Standing&) {},
        [this](std::int64_t first, std::int64_t last) { receipts_.Take(first, last); });
    producer_ = std::jthread([this](const std::stop_token& stop) { load_->Run(stop, stop); });
    return {};
  }

  void Sample(bool draining) {
    if (Now() < next_sample_) return;
    next_sample_ = Now() + kSampleEvery;
    std::optional<Standing> standing = fleet_.told().standing;
    if (options_.postgres) {
      standing.reset();
      const bool all_ordered = load_->all_ordered();  // as it was before the look
      if (auto read = ReadStanding(*books_, options_.queue())) {
        standing = *read;
        standing->all_ordered = all_ordered;
      }
    }
    if (!standing) return;
    if (standing->finished != standing_.finished) progressed_ = Now();
    standing_ = *standing;
    sampled_ = true;
    const double now = Now();
    recovery_.Sample(now, standing_.finished);
    context_.progress({now, draining, standing_, recovery_.Rate(now - 1, now), injected_});
  }

  // All is worked off that the run was asked for.
  [[nodiscard]] bool AllDone() const { return standing_.all_ordered && standing_.open == 0; }

  Result<void> Tend() {
    const double left = options_.postgres ? 0 : std::max(0.0, Duration() - Now());
    fleet_.Tend(fmt::format("--load-seconds={:.3f}", left));
    if (fleet_.failures() < kMostFailures) return {};
    return fail(ErrorCode::kInternal,
                fmt::format("the worker processes end as soon as they start; {} says why", fleet_.log()));
  }

  Result<void> LoadAndBreak(Faults& faults) {
    while (Now() < Duration() && !*context_.interrupted && !AllDone()) {
      MILLRACE_TRY(Tend());
      if (faults.under_way()) fleet_.Forgive();  // a worker may find no server then
      if (Now() >= WarmUp()) faults.Tick(Now());
      injected_ = static_cast<int>(faults.injected().size());
      Sample(false);
      std::this_thread::sleep_for(kTick);
    }
    findings_.load_seconds = Now();
    findings_.interrupted = *context_.interrupted;
    producer_.request_stop();
    if (producer_.joinable()) producer_.join();
    return {};
  }

  // Until nothing is open, as the database says after the last order; or nothing happens any more.
  Result<void> Drain() {
    progressed_ = Now();
    sampled_ = false;
    const double settled = Now() + (options_.postgres ? 0 : 1);
    while (Now() - progressed_ < kWithoutProgress) {
      MILLRACE_TRY(Tend());
      Sample(true);
      if (sampled_ && standing_.open == 0 && Now() > settled) break;
      std::this_thread::sleep_for(kTick);
    }
    findings_.drain_seconds = Now() - findings_.load_seconds;
    return {};
  }

  // The database may be coming back still from the last fault.
  Result<void> Settle() {
    const auto until = Clock::now() + kComesBack;
    while (true) {
      auto read = ReadAll();
      if (read) {
        read->receipts = options_.postgres ? receipts_ : fleet_.told().receipts;
        findings_.account = stress::Settle(*read);
        break;
      }
      if (Clock::now() >= until) return fail(read.error());
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
    }
    if (load_) fleet_broken_ = load_->broken();
    if (load_) findings_.trouble = load_->trouble();
    for (const std::int64_t number : fleet_.told().broken) fleet_broken_.push_back(number);
    findings_.account.broken_unique = fleet_broken_;
    if (findings_.account.exact()) MILLRACE_TRY(ledger_.Drop(*books_));
    return {};
  }

  Result<Books> ReadAll() {
    if (!books_) {
      MILLRACE_ASSIGN(books_, Client::open(BooksStorage(options_)));
    }
    return ReadBooks(*books_, options_, ledger_);
  }

  void Sum(const Faults& faults) {
    findings_.full_rate = recovery_.Rate(WarmUp() / 2, WarmUp());
    findings_.rate = recovery_.Rate(0, findings_.load_seconds);
    findings_.refused = fleet_.told().refused;
    findings_.failed_faults = faults.failures();
    findings_.missed_faults = faults.missed();
    findings_.most_idle_connections = faults.most_idle_connections();
    const auto& injected = faults.injected();
    for (std::size_t i = 0; i < injected.size(); ++i) {
      double end = findings_.load_seconds;
      for (std::size_t next = injected.size(); next-- > i + 1;) {
        if (injected[next].fault == injected[i].fault) end = std::min(end, injected[next].at);
      }
      FaultReport& report = findings_.faults[injected[i].fault];
      ++report.injected;
      if (const auto seconds = recovery_.After(injected[i].at, findings_.full_rate, end)) {
        report.recovered.push_back(*seconds);
      } else {
        ++report.not_recovered;
      }
    }
    for (auto& [fault, report] : findings_.faults) std::sort(report.recovered.begin(), report.recovered.end());
  }

  const Options& options_;
  const Ledger& ledger_;
  const Context& context_;
  Findings findings_;
  Clock::time_point begun_ = Clock::now();
  std::optional<Client> books_, orders_;
  Receipts receipts_;  // the producer's until it ends
  std::optional<Load> load_;
  Fleet fleet_;
  Recovery recovery_;
  Standing standing_;
  std::vector<std::int64_t> fleet_broken_;
  double next_sample_ = 0, progressed_ = 0;
  bool sampled_ = false;
  int injected_ = 0;
  std::jthread producer_;  // last: it uses the rest
};

}  // namespace

Result<Findings> RunStress(const Options& options, const Ledger& ledger, const Context& context) {
  return Run(options, ledger, context).Go();
}

}  // namespace millrace::cli::stress
