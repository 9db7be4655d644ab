// Jobs that wait for others.
#include <algorithm>

#include "engine/dependencies.h"
#include "storage/conformance/model_state.h"

namespace millrace::storage {

using engine::JobEvent;

Result<void> MemoryState::CheckDependencies(std::span<const NewJob> batch) const {
  for (std::size_t i = 0; i < batch.size(); ++i) {
    for (const JobId id : batch[i].after) {
      if (jobs.contains(id)) continue;
      return fail(ErrorCode::kInvalidArgument, "job " + std::to_string(i) + " of the batch: after: there is no job " +
                                                   std::to_string(id) + ", or its history was deleted");
    }
  }
  return {};
}

void MemoryState::AddDependencies(JobRecord& record, const NewJob& from, const std::vector<Enqueued>& batch) {
  std::set<JobId> needs(from.after.begin(), from.after.end());
  for (const std::size_t earlier : from.after_in_batch) needs.insert(batch[earlier].id);
  record.job.state = JobState::kWaiting;
  record.job.when = from.when;
  for (const JobId id : needs) {
    const JobState state = jobs.at(id).job.state;
    if (!engine::IsFinished(state)) {
      record.job.after.push_back(id);
    } else if (state != JobState::kCompleted && record.failed_dependency == 0) {
      record.failed_dependency = id;
    }
  }
}

void MemoryState::DecideWaiting(JobRecord& record, Time now) {
  Job& job = record.job;
  const engine::DependencyProgress progress{static_cast<std::int64_t>(job.after.size()), record.failed_dependency};
  const auto event = engine::Decide(job.when, progress);
  if (!event) return;
  if (*event == JobEvent::kCancel) {
    job.error = engine::WhyCancelled(progress);
    job.state = *engine::Next(job.state, JobEvent::kCancel);
    Finish(record, now);
    return;
  }
  job.state = *engine::Next(job.state, job.run_at > now ? JobEvent::kReadyLater : JobEvent::kReady);
  job.when = DependencyPolicy::kAllSucceeded;
}

void MemoryState::Finish(JobRecord& record, Time now) {
  record.job.finished_at = now;
  record.job.after.clear();
  record.job.when = DependencyPolicy::kAllSucceeded;
  finished_.insert(record.job.id);
}

void MemoryState::SettleDependents(Time now) {
  while (!finished_.empty()) {
    const std::set<JobId> level = std::exchange(finished_, {});
    for (auto& entry : jobs) {
      JobRecord& record = entry.second;
      if (record.job.state != JobState::kWaiting) continue;
      const auto gone = [&](JobId needed) {
        if (!level.contains(needed)) return false;
        const bool failed = jobs.at(needed).job.state != JobState::kCompleted;
        if (failed && record.failed_dependency == 0) record.failed_dependency = needed;
        return true;
      };
      if (std::erase_if(record.job.after, gone) > 0) DecideWaiting(record, now);
    }
  }
}

}  // namespace millrace::storage
