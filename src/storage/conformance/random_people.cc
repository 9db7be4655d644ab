// Operations of workers, of what watches over them, and of people.
#include <set>

#include "storage/conformance/random_run.h"

namespace millrace::storage {

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

}  // namespace millrace::storage
