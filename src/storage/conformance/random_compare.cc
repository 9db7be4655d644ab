// How the driver's answers are compared with the model's.
#include <algorithm>

#include "base/clock.h"
#include "engine/job_state.h"
#include "storage/conformance/random_ops_impl.h"

namespace millrace::storage {
namespace {

std::string Text(const std::string& value) { return "'" + value + "'"; }
std::string Text(double value) { return std::to_string(value); }
std::string Text(std::int64_t value) { return std::to_string(value); }
std::string Text(int value) { return std::to_string(value); }
std::string Text(std::size_t value) { return std::to_string(value); }
std::string Text(bool value) { return value ? "true" : "false"; }
std::string Text(Duration value) { return base::FormatDuration(value); }
std::string Text(Time value) { return std::to_string(value.time_since_epoch().count()) + " us"; }
std::string Text(JobState value) { return std::string(job_state_name(value)); }
std::string Text(Priority value) { return std::string(priority_name(value)); }
std::string Text(WorkerState value) { return std::to_string(static_cast<int>(value)); }
std::string Text(RunState value) { return std::to_string(static_cast<int>(value)); }
std::string Text(const std::vector<std::string>& values) {
  std::string text;
  for (const std::string& value : values) text += value + " ";
  return text;
}
template <class T>
std::string Text(const std::optional<T>& value) {
  return value ? Text(*value) : "none";
}

// Throws when a field of `whose` differs.
template <class T>
void Same(const std::string& whose, const char* field, const T& real, const T& model) {
  if (real != model) Pair::Differ(whose + ": " + field + ": driver " + Text(real) + ", model " + Text(model));
}

std::vector<Job> JobsAfter(Storage& storage, JobId after) {
  JobFilter filter;
  filter.after_id = after;
  filter.limit = 1'000'000;
  return Must(storage.ListJobs(filter));
}

std::string Name(const Job& job) {
  return "job " + std::to_string(job.id) + " (" + Text(job.tags) + Text(job.state) + ")";
}

}  // namespace

Pair::Pair(const Factory& open, const StorageOptions& options) : instance_(open(options)) {
  clock_ = std::make_unique<base::ManualClock>(Must(real().Now()));
  model_ = std::make_unique<MemoryStorage>(options, *clock_);
}

void Pair::Advance(Duration by) {
  instance_.advance(by);
  clock_->Advance(by);
}

bool Pair::Reopen() {
  if (!instance_.reopen) return false;
  instance_.storage.reset();
  instance_.storage = instance_.reopen();
  model_ = model_->Reopen();
  return true;
}

void Pair::MatchNewJobs() {
  const std::vector<Job> real_jobs = JobsAfter(real(), last_real_);
  const std::vector<Job> model_jobs = JobsAfter(model(), last_model_);
  std::map<std::string, JobId> by_tag;
  for (const Job& job : model_jobs) by_tag[job.tags.at(0)] = job.id;
  Same("new jobs", "count", real_jobs.size(), model_jobs.size());
  for (const Job& job : real_jobs) {
    const auto found = by_tag.find(job.tags.at(0));
    if (found == by_tag.end()) Differ("the driver has " + Name(job) + ", the model has no such job");
    jobs.Add(job.id, found->second);
  }
  if (!real_jobs.empty()) last_real_ = real_jobs.back().id;
  if (!model_jobs.empty()) last_model_ = model_jobs.back().id;
}

void Pair::CompareEnqueued(const std::vector<Enqueued>& real, const std::vector<Enqueued>& model) {
  MatchNewJobs();
  Same("enqueued", "count", real.size(), model.size());
  for (std::size_t i = 0; i < real.size(); ++i) {
    Same("enqueued " + std::to_string(i), "duplicate", real[i].duplicate, model[i].duplicate);
    Same("enqueued " + std::to_string(i), "id (as the model's)", jobs.ToModel(real[i].id), model[i].id);
  }
}

void Pair::CompareIds(const char* what, std::vector<JobId> real, const std::vector<JobId>& model) {
  for (JobId& id : real) id = jobs.ToModel(id);
  std::sort(real.begin(), real.end());
  const auto list = [](const std::vector<JobId>& ids) {
    std::vector<std::string> texts;
    for (const JobId id : ids) texts.push_back(std::to_string(id));
    return texts;
  };
  Same(what, "ids (as the model's)", list(real), list(model));
}

void Pair::CompareClaimed(const Claimed& real, const Claimed& model) {
  const auto describe = [&](const Claimed& claimed, bool of_model) {
    std::vector<std::string> texts;
    for (const ClaimedJob& job : claimed.jobs) {
      texts.push_back(std::to_string(of_model ? job.id : jobs.ToModel(job.id)) + ":" + Text(job.priority));
    }
    return texts;
  };
  Same("claimed", "jobs (as the model's)", describe(real, false), describe(model, true));
  for (std::size_t i = 0; i < real.jobs.size(); ++i) {
    const ClaimedJob& a = real.jobs[i];
    const ClaimedJob& b = model.jobs[i];
    const std::string name = "claimed job " + std::to_string(a.id);
    Same(name, "kind", a.kind, b.kind);
    Same(name, "args", a.args, b.args);
    Same(name, "queue", a.queue, b.queue);
    Same(name, "attempt", a.attempt, b.attempt);
    Same(name, "max_attempts", a.max_attempts, b.max_attempts);
    Same(name, "crashes", a.crashes, b.crashes);
    Same(name, "timeout", a.timeout, b.timeout);
    Same(name, "created_at", a.created_at, b.created_at);
    Same(name, "run_at", a.run_at, b.run_at);
    Same(name, "claimed_at", a.claimed_at, b.claimed_at);
    Same(name, "partition_key", a.partition_key, b.partition_key);
    Same(name, "unique_key", a.unique_key, b.unique_key);
    Same(name, "run", runs.ToModel(a.run_id), b.run_id);
    Same(name, "tags", a.tags, b.tags);
  }
  // A driver may look again earlier than it must, never later.
  if (model.next_due && real.jobs.empty() && (!real.next_due || *real.next_due > *model.next_due)) {
    Differ("next_due: driver " + Text(real.next_due) + ", model " + Text(model.next_due));
  }
}

// The model's way to name the job that a cancelled one waited for.
std::string Pair::ErrorAsModel(const std::string& error) const {
  constexpr std::string_view kBefore = "job ";
  const std::size_t end = error.find(", which it waited for");
  if (end == std::string::npos || !error.starts_with(kBefore)) return error;
  const JobId id = std::stoll(error.substr(kBefore.size(), end - kBefore.size()));
  return std::string(kBefore) + std::to_string(jobs.ToModel(id)) + error.substr(end);
}

void Pair::CompareJob(const Job& real, const Job& model) {
  const std::string name = Name(real);
  Same(name, "id (as the model's)", jobs.ToModel(real.id), model.id);
  Same(name, "kind", real.kind, model.kind);
  Same(name, "args", real.args, model.args);
  Same(name, "queue", real.queue, model.queue);
  Same(name, "priority", real.priority, model.priority);
  Same(name, "state", real.state, model.state);
  Same(name, "created_at", real.created_at, model.created_at);
  Same(name, "run_at", real.run_at, model.run_at);
  Same(name, "started_at", real.started_at, model.started_at);
  Same(name, "finished_at", real.finished_at, model.finished_at);
  Same(name, "attempt", real.attempt, model.attempt);
  Same(name, "max_attempts", real.max_attempts, model.max_attempts);
  Same(name, "crashes", real.crashes, model.crashes);
  Same(name, "max_crashes", real.max_crashes, model.max_crashes);
  Same(name, "timeout", real.timeout, model.timeout);
  Same(name, "partition_key", real.partition_key, model.partition_key);
  Same(name, "unique_key", real.unique_key, model.unique_key);
  Same(name, "run", runs.ToModel(real.run_id), model.run_id);
  Same(name, "tags", real.tags, model.tags);
  Same(name, "worker", real.worker, model.worker);
  Same(name, "result", real.result, model.result);
  Same(name, "error", ErrorAsModel(real.error), model.error);
  CompareIds("jobs waited for", real.after, model.after);
  Same(name, "when", static_cast<int>(real.when), static_cast<int>(model.when));
  Same(name, "progress", real.progress, model.progress);
  Same(name, "progress_message", real.progress_message, model.progress_message);
  if (real.state == JobState::kRunning) {
    Same(name, "cancel_requested", real.cancel_requested, model.cancel_requested);
  }
}

void Pair::CompareHistory(JobId real_id, JobId model_id) {
  const std::vector<Attempt> real_attempts = Must(real().Attempts(real_id));
  const std::vector<Attempt> model_attempts = Must(model().Attempts(model_id));
  const std::string name = "attempts of job " + std::to_string(real_id);
  Same(name, "count", real_attempts.size(), model_attempts.size());
  for (std::size_t i = 0; i < real_attempts.size(); ++i) {
    Same(name, "attempt", real_attempts[i].attempt, model_attempts[i].attempt);
    Same(name, "outcome", real_attempts[i].outcome, model_attempts[i].outcome);
    Same(name, "error", real_attempts[i].error, model_attempts[i].error);
    Same(name, "worker", real_attempts[i].worker, model_attempts[i].worker);
    Same(name, "started_at", real_attempts[i].started_at, model_attempts[i].started_at);
    Same(name, "finished_at", real_attempts[i].finished_at, model_attempts[i].finished_at);
  }
}

void Pair::CompareAllJobs() {
  std::map<JobId, Job> model_jobs;
  for (Job& job : JobsAfter(model(), 0)) model_jobs[job.id] = std::move(job);
  const std::vector<Job> real_jobs = JobsAfter(real(), 0);
  Same("jobs", "count", real_jobs.size(), model_jobs.size());
  for (const Job& job : real_jobs) {
    const auto found = model_jobs.find(jobs.ToModel(job.id));
    if (found == model_jobs.end()) Differ("the driver has " + Name(job) + ", the model has no such job");
    CompareJob(job, found->second);
    CompareHistory(job.id, found->second.id);
  }
}

void Pair::CompareQueues() {
  const std::vector<QueueRow> real_rows = Must(real().Queues());
  std::map<std::string, QueueRow> model_rows;
  for (QueueRow& row : Must(model().Queues())) model_rows[row.name] = std::move(row);
  Same("queues", "count", real_rows.size(), model_rows.size());
  for (const QueueRow& row : real_rows) {
    const std::string name = "queue " + row.name;
    if (!model_rows.contains(row.name)) Differ("the driver has " + name + ", the model has not");
    const QueueRow& other = model_rows.at(row.name);
    Same(name, "paused", row.paused, other.paused);
    Same(name, "capacity", row.options.capacity, other.options.capacity);
    Same(name, "concurrency", row.options.concurrency, other.options.concurrency);
    Same(name, "rate_limit", row.options.rate_limit, other.options.rate_limit);
    for (int p = 0; p < kPriorityCount; ++p) {
      for (int s = 0; s < kJobStateCount; ++s) {
        const std::string lane = name + ", " + Text(static_cast<Priority>(p)) + ", " + Text(static_cast<JobState>(s));
        Same(lane, "count", row.counts[p][s], other.counts[p][s]);
      }
      Same(name + ", " + Text(static_cast<Priority>(p)), "oldest", row.oldest_of[p], other.oldest_of[p]);
    }
    Same(name, "oldest_available", row.oldest_available, other.oldest_available);
  }
}

void Pair::CompareRuns() {
  for (const RunId id : runs.Reals()) {
    const RunRow a = Must(real().GetRun(id)).value();
    const RunRow b = Must(model().GetRun(runs.ToModel(id))).value();
    const std::string name = "run " + std::to_string(id);
    Same(name, "identity", a.identity, b.identity);
    Same(name, "generation", a.generation, b.generation);
    Same(name, "state", a.state, b.state);
    Same(name, "discovery_done", a.discovery_done, b.discovery_done);
    Same(name, "finals_started", a.finals_started, b.finals_started);
    Same(name, "open", a.open, b.open);
    Same(name, "stage_job", a.stage_job == 0 ? 0 : jobs.ToModel(a.stage_job), b.stage_job);
    Same(name, "leader", a.leader, b.leader);
    Same(name, "epoch", a.epoch != 0, b.epoch != 0);
    Same(name, "started_at", a.started_at, b.started_at);
    Same(name, "finished_at", a.finished_at, b.finished_at);
    for (int s = 0; s < kJobStateCount; ++s) {
      Same(name + ", " + Text(static_cast<JobState>(s)), "count", a.counts[s], b.counts[s]);
    }
  }
}

void Pair::CompareWorkers() {
  const std::vector<WorkerRow> real_rows = Must(real().Workers());
  std::map<std::string, WorkerRow> model_rows;
  for (WorkerRow& row : Must(model().Workers())) model_rows[row.info.id] = std::move(row);
  Same("workers", "count", real_rows.size(), model_rows.size());
  for (const WorkerRow& row : real_rows) {
    const std::string name = "worker " + row.info.id;
    if (!model_rows.contains(row.info.id)) Differ("the driver has " + name + ", the model has not");
    const WorkerRow& other = model_rows.at(row.info.id);
    Same(name, "state", row.state, other.state);
    Same(name, "started_at", row.started_at, other.started_at);
    Same(name, "last_heartbeat", row.last_heartbeat, other.last_heartbeat);
    Same(name, "running", row.running, other.running);
  }
}

void Pair::CompareEverything() {
  Same("storage", "now", Must(real().Now()), Must(model().Now()));
  MatchNewJobs();
  CompareAllJobs();
  CompareQueues();
  CompareRuns();
  CompareWorkers();
}

}  // namespace millrace::storage
