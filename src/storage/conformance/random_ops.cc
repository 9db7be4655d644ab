#include "storage/conformance/random_ops.h"

#include <algorithm>
#include <cstdlib>

#include "storage/conformance/random_ops_impl.h"

namespace millrace::storage {
namespace {

constexpr std::size_t kShownOperations = 30;
constexpr int kWorkerIds = 5;
constexpr Duration kTick = std::chrono::milliseconds(250);  // all times are multiples, so that rates come out even

// Queues of each kind of limit, and retry delays without chance.
StorageOptions RandomOptions() {
  StorageOptions options;
  options.max_crashes = 2;
  options.claim_timeout = std::chrono::seconds(60) + kMicro;
  const auto queue = [&](const char* name) -> QueueOptions& {
    options.queues.emplace_back().name = name;
    return options.queues.back();
  };
  queue("narrow").concurrency = 2;
  queue("rated").rate_limit = 2;
  queue("full").capacity = 4;
  QueueOptions& spill = queue("spill");
  spill.capacity = 3;
  spill.overflow = Overflow::kSpill;
  spill.spill_to = Priority::kLow;
  QueueOptions& block = queue("block");
  block.capacity = 5;
  block.overflow = Overflow::kBlock;
  block.retry = RetryPolicy{3, 2 * kSecond, 1.5, kMinute, 0.5};
  return options;
}

class RandomRun {
 public:
  RandomRun(const Factory& driver, std::uint64_t seed) : random_(seed), pair_(driver, RandomOptions()) {
    for (int i = 0; i < kWorkerIds; ++i) Register(i);
  }

  void Step();
  void Check() { pair_.CompareEverything(); }
  [[nodiscard]] const std::deque<std::string>& log() const { return log_; }

 private:
  // ---- Chance
  int Below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(random_); }
  bool Chance(int percent) { return Below(100) < percent; }
  template <class T>
  const T& Any(const std::vector<T>& from) {
    return from[static_cast<std::size_t>(Below(static_cast<int>(from.size())))];
  }
  Duration AnyDelay() { return kTick * (1 + Below(40)); }
  void Note(const std::string& text) {
    log_.push_back(text);
    if (log_.size() > kShownOperations) log_.pop_front();
  }

  // ---- Making arguments
  NewJob AnyJob();
  std::vector<NewJob> AnyJobs(int most);
  std::vector<NewJob> ForModel(std::vector<NewJob> jobs) const;
  std::pair<Report, Report> AnyReport(std::size_t& worker);
  std::pair<std::vector<Report>, std::vector<Report>> AnyReports(std::size_t& worker);
  std::pair<ClaimRequest, ClaimRequest> AnyClaim(std::size_t worker);
  std::pair<JobFilter, JobFilter> AnyFilter();
  std::size_t AnyWorker() { return static_cast<std::size_t>(Below(static_cast<int>(workers_.size()))); }

  // ---- Operations
  void Enqueue();
  void Transact();
  void Claim();
  void Report_();
  void ReportAndClaim();
  void EmitNow();
  void Heartbeat();
  void HeartbeatAll();
  void Rescue();
  void RegisterWorker();
  void Register(int number);
  void StopWorker();
  void Cancel();
  void RetryDead();
  void Delete();
  void Pause();
  void Configure();
  void StartRun();
  void CancelRun();
  void Advance();
  void List();
  void Reopen();

  void CompareAccepted(const Result<Accepted>& real, const Result<Accepted>& model);
  void Remember(std::size_t worker, const Claimed& real, const Claimed& model);

  std::mt19937_64 random_;
  Pair pair_;
  std::deque<std::string> log_;
  std::vector<PairedWorker> workers_;
  std::vector<PairedLease> leases_;
  int next_tag_ = 0;
};

const std::vector<std::string> kQueues = {"plain", "other", "narrow", "rated", "full", "spill", "block"};

NewJob RandomRun::AnyJob() {
  NewJob job;
  job.kind = "k" + std::to_string(Below(3));
  job.args = "{\"n\":" + std::to_string(next_tag_) + "}";
  job.queue = Any(kQueues);
  job.priority = static_cast<Priority>(Below(kPriorityCount));
  if (Chance(20)) job.delay = AnyDelay();
  if (Chance(10)) job.run_at = Must(pair_.real().Now()) + kTick * (Below(40) - 20);
  if (Chance(20)) job.max_attempts = 1 + Below(3);
  if (Chance(20)) job.max_crashes = 1 + Below(2);
  if (Chance(20)) job.timeout = AnyDelay() + kMicro;
  if (Chance(30)) job.partition_key = "p" + std::to_string(Below(4));
  if (Chance(20)) job.unique_key = "u" + std::to_string(Below(8));
  job.tags = {"#" + std::to_string(next_tag_++)};
  if (Chance(20)) job.tags.push_back("red");
  return job;
}

// Some of them in runs (as the driver numbers them), now and then an invalid one.
std::vector<NewJob> RandomRun::AnyJobs(int most) {
  std::vector<NewJob> jobs;
  const std::vector<RunId> runs = pair_.runs.Reals();
  for (int i = 1 + Below(most); i > 0; --i) {
    jobs.push_back(AnyJob());
    if (!runs.empty() && Chance(10)) jobs.back().run_id = Any(runs);
  }
  if (Chance(2)) jobs.back().kind.clear();
  return jobs;
}

std::vector<NewJob> RandomRun::ForModel(std::vector<NewJob> jobs) const {
  for (NewJob& job : jobs) job.run_id = pair_.runs.ToModel(job.run_id);
  return jobs;
}

std::string Describe(const std::vector<NewJob>& jobs) {
  std::string text;
  for (const NewJob& job : jobs) {
    text += " {" + job.tags.at(0) + " " + job.queue + "/" + std::string(priority_name(job.priority));
    if (job.delay) text += " delay " + base::FormatDuration(*job.delay);
    if (job.run_at) text += " run_at";
    if (!job.partition_key.empty()) text += " " + job.partition_key;
    if (!job.unique_key.empty()) text += " " + job.unique_key;
    if (job.run_id != 0) text += " run " + std::to_string(job.run_id);
    text += "}";
  }
  return text;
}

void RandomRun::Enqueue() {
  const std::vector<NewJob> jobs = AnyJobs(6);
  Note("enqueue" + Describe(jobs));
  const auto real = pair_.real().Enqueue(jobs);
  const auto model = pair_.model().Enqueue(ForModel(jobs));
  if (pair_.BothWorked(real, model)) pair_.CompareEnqueued(*real, *model);
}

// ---- Claims ----

std::pair<ClaimRequest, ClaimRequest> RandomRun::AnyClaim(std::size_t worker) {
  ClaimRequest request;
  request.worker = workers_[worker].real;
  request.max_jobs = Below(9);
  if (Chance(20)) request.max_held = Below(3);
  if (Chance(30)) request.queues = {Any(kQueues), Any(kQueues), Any(kQueues)};
  if (Chance(30)) {
    request.priorities = engine::PrioritySet::None();
    for (int i = 0; i < 3; ++i) request.priorities.Add(static_cast<Priority>(Below(kPriorityCount)));
  }
  ClaimRequest same = request;
  same.worker = workers_[worker].model;
  return {request, same};
}

std::string Describe(const ClaimRequest& request) {
  std::string text = " " + request.worker.id + "." + std::to_string(request.worker.incarnation) + " max " +
                     std::to_string(request.max_jobs) + " held " + std::to_string(request.max_held) + " priorities ";
  for (int p = 0; p < kPriorityCount; ++p) text += request.priorities.Has(static_cast<Priority>(p)) ? '1' : '0';
  for (const std::string& queue : request.queues) text += " " + queue;
  return text;
}

void RandomRun::Remember(std::size_t worker, const Claimed& real, const Claimed& model) {
  pair_.CompareClaimed(real, model);
  std::string text = "  gave";
  for (const ClaimedJob& job : real.jobs) text += " " + job.tags.at(0);
  Note(text);
  for (std::size_t i = 0; i < real.jobs.size(); ++i) leases_.push_back({worker, real.jobs[i], model.jobs[i]});
  // The oldest are stale or will be rescued; a few of them stay to be tried.
  while (leases_.size() > 60) leases_.erase(leases_.begin() + Below(20));
}

void RandomRun::Claim() {
  const std::size_t worker = AnyWorker();
  const auto [request, same] = AnyClaim(worker);
  Note("claim" + Describe(request));
  const auto real = pair_.real().Claim(request);
  const auto model = pair_.model().Claim(same);
  // A superseded worker may get an error or nothing.
  if (!model && real && real->jobs.empty()) return;
  if (pair_.BothWorked(real, model)) Remember(worker, *real, *model);
}

// ---- Reports ----

std::string Describe(const Report& report) {
  std::string text =
      " {job " + std::to_string(report.id) + " verdict " + std::to_string(static_cast<int>(report.verdict));
  if (report.delay > Duration(0)) text += " delay " + base::FormatDuration(report.delay);
  if (report.discovery_done) text += " discovery done";
  if (!report.emits.empty()) text += " emits" + Describe(report.emits);
  return text + "}";
}

// A report of a lease, mostly a current one, as each storage needs to be told. `worker` is the lease's.
std::pair<Report, Report> RandomRun::AnyReport(std::size_t& worker) {
  const PairedLease& lease =
      Chance(70) ? leases_[leases_.size() - 1 -
                           static_cast<std::size_t>(Below(std::min<int>(8, static_cast<int>(leases_.size()))))]
                 : Any(leases_);
  worker = lease.worker;
  const auto verdict = Chance(50) ? Verdict::kCompleted : static_cast<Verdict>(Below(6));
  const bool waits = verdict == Verdict::kRetry || verdict == Verdict::kSnooze;
  Report real = ReportOf(lease.real, verdict, waits && Chance(80) ? AnyDelay() : Duration(0));
  if (verdict == Verdict::kRetry || verdict == Verdict::kDead) {
    real.text = "error " + std::to_string(Below(100));
    real.timed_out = Chance(20);
    real.fatal = verdict == Verdict::kDead && !real.timed_out && Chance(50);
  } else if (verdict == Verdict::kCompleted) {
    if (Chance(50)) real.text = std::to_string(Below(100));
    real.discovery_done = Chance(20);
    if (Chance(20)) real.emits = AnyJobs(3);
    for (NewJob& emit : real.emits) emit.run_id = 0;
  }
  Report model = real;
  model.id = lease.model.id;
  model.token = lease.model.token;
  if (Chance(3)) ++real.attempt, ++model.attempt;
  if (Chance(3)) real.token += 1'000'003, model.token += 1'000'003;
  return {real, model};
}

std::pair<std::vector<Report>, std::vector<Report>> RandomRun::AnyReports(std::size_t& worker) {
  std::vector<Report> real;
  std::vector<Report> model;
  for (int i = 1 + Below(4); i > 0; --i) {
    auto [a, b] = AnyReport(worker);
    real.push_back(std::move(a));
    model.push_back(std::move(b));
  }
  if (Chance(10)) {
    real.push_back(real.front());
    model.push_back(model.front());
  }
  return {real, model};
}

void RandomRun::CompareAccepted(const Result<Accepted>& real, const Result<Accepted>& model) {
  if (!pair_.BothWorked(real, model)) return;
  if (*real == *model) return;
  const auto text = [](const Accepted& accepted) {
    std::string bits;
    for (const bool one : accepted) bits += one ? '1' : '0';
    return bits;
  };
  Pair::Differ("accepted: driver " + text(*real) + ", model " + text(*model));
}

void RandomRun::Report_() {
  if (leases_.empty()) return;
  std::size_t worker = 0;
  const auto [real_reports, model_reports] = AnyReports(worker);
  std::string text = "report " + workers_[worker].real.id;
  for (const Report& report : real_reports) text += Describe(report);
  Note(text);
  const auto real = pair_.real().ReportOutcomes(workers_[worker].real, real_reports);
  const auto model = pair_.model().ReportOutcomes(workers_[worker].model, model_reports);
  CompareAccepted(real, model);
  pair_.MatchNewJobs();
}

void RandomRun::ReportAndClaim() {
  if (leases_.empty()) return;
  std::size_t worker = 0;
  const auto [real_reports, model_reports] = AnyReports(worker);
  const auto [request, same] = AnyClaim(worker);
  if (request.max_jobs == 0) return;
  std::string text = "report and claim" + Describe(request);
  for (const Report& report : real_reports) text += Describe(report);
  Note(text);
  const auto real = pair_.real().ReportAndClaim(real_reports, request);
  const auto model = pair_.model().ReportAndClaim(model_reports, same);
  if (!model && real && real->claimed.jobs.empty()) return;
  if (!pair_.BothWorked(real, model)) return;
  CompareAccepted(real->accepted, model->accepted);
  pair_.MatchNewJobs();
  Remember(worker, real->claimed, model->claimed);
}

void RandomRun::EmitNow() {
  if (leases_.empty()) return;
  const PairedLease& lease = Any(leases_);
  const PairedWorker& worker = workers_[lease.worker];
  std::vector<NewJob> jobs = AnyJobs(3);
  for (NewJob& job : jobs) job.run_id = 0;
  Note("emit now " + std::to_string(lease.real.id) + Describe(jobs));
  const auto real = pair_.real().EmitNow(worker.real, lease.real.id, lease.real.attempt, lease.real.token, jobs);
  const auto model = pair_.model().EmitNow(worker.model, lease.model.id, lease.model.attempt, lease.model.token, jobs);
  if (pair_.BothWorked(real, model)) pair_.CompareEnqueued(*real, *model);
}

void RandomRun::Transact() {
  const std::vector<NewJob> jobs = AnyJobs(3);
  const std::vector<NewJob> same_jobs = ForModel(jobs);
  const bool commit = Chance(50);
  const bool with_reports = Chance(50) && !leases_.empty();
  std::size_t worker = 0;
  std::pair<std::vector<Report>, std::vector<Report>> reports;
  if (with_reports) reports = AnyReports(worker);
  std::string text = std::string("transaction, ") + (commit ? "committed" : "rolled back") + Describe(jobs);
  for (const Report& report : reports.first) text += Describe(report);
  Note(text);
  const auto body = [&](const std::vector<NewJob>& batch, const WorkerRef& ref, const std::vector<Report>& outcomes) {
    return [&, commit](Transaction& transaction) -> Result<void> {
      if (auto added = transaction.enqueue(batch); !added && batch.size() > 1) return fail(added.error());
      if (!outcomes.empty()) {
        if (auto accepted = transaction.ReportIn(ref, outcomes); !accepted) return fail(accepted.error());
      }
      if (!commit) return fail(ErrorCode::kConflict, "rolled back");
      return {};
    };
  };
  const auto real = pair_.real().Transact(body(jobs, workers_[worker].real, reports.first));
  const auto model = pair_.model().Transact(body(same_jobs, workers_[worker].model, reports.second));
  pair_.BothWorked(real, model);
  pair_.MatchNewJobs();
}

// ---- Workers ----

void RandomRun::RegisterWorker() { Register(Below(kWorkerIds)); }

void RandomRun::Register(int number) {
  WorkerInfo info;
  info.id = "w" + std::to_string(number);
  info.kinds = {"k" + std::to_string(Below(3))};
  if (Chance(30)) info.timeouts["k1"] = std::chrono::seconds(5) + kMicro;
  Note("register " + info.id);
  const WorkerRef real = Must(pair_.real().RegisterWorker(info));
  const WorkerRef model = Must(pair_.model().RegisterWorker(info));
  workers_.push_back({real, model, true});
}

void RandomRun::StopWorker() {
  const std::size_t worker = AnyWorker();
  Note("stop " + workers_[worker].real.id + "." + std::to_string(workers_[worker].real.incarnation));
  (void)pair_.real().StopWorker(workers_[worker].real);
  (void)pair_.model().StopWorker(workers_[worker].model);
  workers_[worker].usable = false;
  RegisterWorker();
}

void RandomRun::Heartbeat() {
  const std::size_t worker = AnyWorker();
  std::vector<JobProgress> real_steps;
  std::vector<JobProgress> model_steps;
  for (int i = Below(3); i > 0 && !leases_.empty(); --i) {
    const PairedLease& lease = Any(leases_);
    const double fraction = Below(100) / 128.0;
    real_steps.push_back({lease.real.id, lease.real.attempt, lease.real.token, fraction, "step"});
    model_steps.push_back({lease.model.id, lease.model.attempt, lease.model.token, fraction, "step"});
  }
  const WorkerState state = Chance(90) ? WorkerState::kActive : WorkerState::kDraining;
  Note("heartbeat " + workers_[worker].real.id + "." + std::to_string(workers_[worker].real.incarnation));
  const HeartbeatReply real = Must(pair_.real().Heartbeat(workers_[worker].real, state, real_steps));
  const HeartbeatReply model = Must(pair_.model().Heartbeat(workers_[worker].model, state, model_steps));
  if (real.superseded != model.superseded) Pair::Differ("superseded differs");
  pair_.CompareIds("cancelled", real.cancelled, model.cancelled);
}

void RandomRun::HeartbeatAll() {
  Note("heartbeat of all");
  for (const PairedWorker& worker : workers_) {
    (void)pair_.real().Heartbeat(worker.real, WorkerState::kActive, {});
    (void)pair_.model().Heartbeat(worker.model, WorkerState::kActive, {});
  }
}

void RandomRun::Rescue() {
  Note("rescue");
  const auto list = [&](const std::vector<Rescued>& rescued, bool of_model) {
    std::set<std::string> texts;
    for (const Rescued& one : rescued) {
      texts.insert(std::to_string(of_model ? one.id : pair_.jobs.ToModel(one.id)) + " " + one.worker + " " +
                   std::string(job_state_name(one.state)) + (one.expired ? " expired" : ""));
    }
    std::string all;
    for (const std::string& text : texts) all += text + "; ";
    return all;
  };
  const std::string real = list(Must(pair_.real().Rescue(kStale + kMicro, kSecond + kMicro)), false);
  const std::string model = list(Must(pair_.model().Rescue(kStale + kMicro, kSecond + kMicro)), true);
  if (real != model) Pair::Differ("rescued: driver " + real + " model " + model);
  pair_.MatchNewJobs();
}

// ---- People ----

std::pair<JobFilter, JobFilter> RandomRun::AnyFilter() {
  JobFilter filter;
  if (Chance(50)) filter.queue = Any(kQueues);
  if (Chance(30)) filter.kind = "k" + std::to_string(Below(3));
  if (Chance(20)) filter.tag = "red";
  if (Chance(30)) filter.priority = static_cast<Priority>(Below(kPriorityCount));
  if (Chance(20)) filter.states = {static_cast<JobState>(Below(kJobStateCount)), JobState::kRunning, JobState::kDead};
  const std::vector<RunId> runs = pair_.runs.Reals();
  if (!runs.empty() && Chance(10)) filter.run_id = Any(runs);
  filter.limit = 1 + Below(10);
  JobFilter same = filter;
  same.run_id = pair_.runs.ToModel(filter.run_id);
  return {filter, same};
}

void RandomRun::Cancel() {
  const auto [filter, same] = AnyFilter();
  Note("cancel queue '" + filter.queue + "' limit " + std::to_string(filter.limit));
  pair_.CompareIds("cancel", Must(pair_.real().Cancel(filter)), Must(pair_.model().Cancel(same)));
  pair_.MatchNewJobs();
}

void RandomRun::RetryDead() {
  const auto [filter, same] = AnyFilter();
  Note("retry dead queue '" + filter.queue + "' limit " + std::to_string(filter.limit));
  pair_.CompareIds("retry dead", Must(pair_.real().RetryDead(filter)), Must(pair_.model().RetryDead(same)));
}

void RandomRun::List() {
  const auto [filter, same] = AnyFilter();
  std::vector<JobId> real;
  std::vector<JobId> model;
  for (const Job& job : Must(pair_.real().ListJobs(filter))) real.push_back(job.id);
  for (const Job& job : Must(pair_.model().ListJobs(same))) model.push_back(job.id);
  pair_.CompareIds("list", real, model);
}

void RandomRun::Delete() {
  const Time before = Must(pair_.real().Now()) - kTick * Below(40);
  const bool dead = Chance(40);
  Note(dead ? "purge dead" : "delete finished");
  const std::int64_t real =
      Must(dead ? pair_.real().PurgeDead(before) : pair_.real().DeleteFinished(before, 1'000'000));
  const std::int64_t model =
      Must(dead ? pair_.model().PurgeDead(before) : pair_.model().DeleteFinished(before, 1'000'000));
  if (real != model) Pair::Differ("deleted: driver " + std::to_string(real) + ", model " + std::to_string(model));
}

void RandomRun::Pause() {
  const std::string queue = Any(kQueues);
  const bool paused = Chance(40);
  Note((paused ? "pause " : "resume ") + queue);
  Must(pair_.real().PauseQueue(queue, paused));
  Must(pair_.model().PauseQueue(queue, paused));
}

void RandomRun::Configure() {
  QueueOptions queue;
  queue.name = Chance(50) ? "narrow" : "other";
  if (Chance(70)) queue.concurrency = Below(4);
  if (Chance(20)) queue.capacity = 5 + Below(5);
  Note("configure " + queue.name);
  Must(pair_.real().ConfigureQueues({&queue, 1}));
  Must(pair_.model().ConfigureQueues({&queue, 1}));
}

// ---- Runs, time ----

void RandomRun::StartRun() {
  RunSpec spec;
  spec.pipeline = "pipeline";
  spec.identity = "identity " + std::to_string(Below(3));
  spec.discovery = AnyJob();
  for (int i = Below(3); i > 0; --i) spec.finals.push_back(AnyJob());
  for (NewJob& final : spec.finals) final.run_at.reset();
  Note("start run " + spec.identity + Describe({spec.discovery}) + Describe(spec.finals));
  const auto real = pair_.real().StartRun(spec);
  const auto model = pair_.model().StartRun(spec);
  if (!pair_.BothWorked(real, model)) return;
  if (real->joined != model->joined) Pair::Differ("joined differs");
  if (real->generation != model->generation) Pair::Differ("generation differs");
  if (!real->joined) pair_.runs.Add(real->id, model->id);
  pair_.MatchNewJobs();
}

void RandomRun::CancelRun() {
  const std::vector<RunId> runs = pair_.runs.Reals();
  if (runs.empty()) return;
  const RunId id = Any(runs);
  Note("cancel run " + std::to_string(id));
  pair_.BothWorked(pair_.real().CancelRun(id), pair_.model().CancelRun(pair_.runs.ToModel(id)));
}

void RandomRun::Advance() {
  const Duration by = Chance(3) ? std::chrono::seconds(400) : Chance(10) ? kStale / 2 : kTick * Below(12);
  Note("advance " + base::FormatDuration(by));
  pair_.Advance(by);
}

// The workers of the old process are gone for good. A new driver gives back what the old process ran, each with a
// crash; at once, or at a rescue of everything.
void RandomRun::Reopen() {
  Note("reopen");
  if (!pair_.Reopen()) return;
  Must(pair_.real().Rescue(-kMicro, 1000 * kHour));
  Must(pair_.model().Rescue(-kMicro, 1000 * kHour));
  pair_.MatchNewJobs();
  for (int i = 0; i < kWorkerIds; ++i) Register(i);
}

void RandomRun::Step() {
  struct Weighted {
    int weight;
    void (RandomRun::*run)();
  };
  static const std::vector<Weighted> kOperations = {
      {160, &RandomRun::Enqueue},      {40, &RandomRun::Transact},       {220, &RandomRun::Claim},
      {200, &RandomRun::Report_},      {80, &RandomRun::ReportAndClaim}, {20, &RandomRun::EmitNow},
      {40, &RandomRun::Heartbeat},     {30, &RandomRun::HeartbeatAll},   {40, &RandomRun::Rescue},
      {5, &RandomRun::RegisterWorker}, {5, &RandomRun::StopWorker},      {15, &RandomRun::Cancel},
      {20, &RandomRun::RetryDead},     {15, &RandomRun::Delete},         {15, &RandomRun::Pause},
      {5, &RandomRun::Configure},      {15, &RandomRun::StartRun},       {3, &RandomRun::CancelRun},
      {80, &RandomRun::Advance},       {10, &RandomRun::List},           {2, &RandomRun::Reopen},
  };
  int total = 0;
  for (const Weighted& one : kOperations) total += one.weight;
  int at = Below(total);
  for (const Weighted& one : kOperations) {
    at -= one.weight;
    if (at < 0) return (this->*one.run)();
  }
}

}  // namespace

std::uint64_t RandomSeed() {
  if (const char* seed = std::getenv("MILLRACE_TEST_SEED")) return std::strtoull(seed, nullptr, 10);
  return std::random_device{}();
}

std::string CompareRandomly(const Factory& driver, std::uint64_t seed, int steps) {
  constexpr int kBetweenChecks = 100;
  RandomRun run(driver, seed);
  int step = 0;
  try {
    for (; step < steps; ++step) {
      run.Step();
      if (step % kBetweenChecks == kBetweenChecks - 1) run.Check();
    }
    run.Check();
    return {};
  } catch (const std::exception& difference) {
    std::string text = "step " + std::to_string(step) + ": " + difference.what() + "\nthe last operations:\n";
    for (const std::string& line : run.log()) text += line + "\n";
    return text;
  }
}

}  // namespace millrace::storage
