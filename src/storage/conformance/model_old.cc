// The model's rules of what is deleted by its age.
#include <algorithm>

#include "storage/conformance/model_state.h"

namespace millrace::storage {

std::int64_t MemoryState::DeleteOld(Old what, Time before, std::int64_t limit) {
  switch (what) {
    case Old::kFinishedJobs:
      return DeleteFinished({JobState::kCompleted, JobState::kCancelled}, before, limit);
    case Old::kDeadLetters:
      return DeleteFinished({JobState::kDead}, before, limit);
    case Old::kRuns:
      return DeleteRuns(before, limit);
    case Old::kWorkers:
      break;
  }
  return DeleteWorkers(before, limit);
}

std::int64_t MemoryState::DeleteFinished(const std::set<JobState>& states, Time before, std::int64_t limit) {
  std::int64_t deleted = 0;
  for (auto next = jobs.begin(); next != jobs.end() && deleted < limit;) {
    const auto entry = next++;
    const Job& job = entry->second.job;
    if (!states.contains(job.state) || *job.finished_at >= before) continue;
    attempts.erase(job.id);
    jobs.erase(entry);
    ++deleted;
  }
  return deleted;
}

std::int64_t MemoryState::DeleteRuns(Time before, std::int64_t limit) {
  const auto has_job = [&](RunId id) {
    return std::any_of(jobs.begin(), jobs.end(), [&](const auto& entry) { return entry.second.job.run_id == id; });
  };
  const auto has_later = [&](const RunRow& row) {
    return std::any_of(runs.begin(), runs.end(), [&](const auto& entry) {
      return entry.second.row.identity == row.identity && entry.second.row.generation > row.generation;
    });
  };
  std::int64_t deleted = 0;
  for (auto next = runs.begin(); next != runs.end() && deleted < limit;) {
    const auto entry = next++;
    const RunRow& row = entry->second.row;
    if (!row.finished_at || *row.finished_at >= before || has_job(row.id) || !has_later(row)) continue;
    runs.erase(entry);
    ++deleted;
  }
  return deleted;
}

std::int64_t MemoryState::DeleteWorkers(Time before, std::int64_t limit) {
  std::int64_t newest = 0;
  for (const auto& [id, worker] : workers) newest = std::max(newest, worker.row.incarnation);
  std::map<std::int64_t, std::string> old;  // by incarnation
  for (const auto& [id, worker] : workers) {
    const bool holds = std::any_of(jobs.begin(), jobs.end(), [&](const auto& entry) {
      const JobRecord& record = entry.second;
      return record.job.state == JobState::kRunning && worker.beats.contains(record.incarnation);
    });
    for (const auto& [incarnation, beat] : worker.beats) {
      const bool ended = incarnation != worker.row.incarnation || worker.row.state == WorkerState::kStopped ||
                         worker.row.state == WorkerState::kLost;
      if (ended && !holds && beat < before && incarnation != newest) old.emplace(incarnation, id);
    }
  }
  std::int64_t deleted = 0;
  for (const auto& [incarnation, id] : old) {
    if (deleted == limit) break;
    WorkerRecord& worker = workers.at(id);
    worker.beats.erase(incarnation);
    worker.timeouts.erase(incarnation);
    if (worker.beats.empty()) workers.erase(id);
    ++deleted;
  }
  return deleted;
}

}  // namespace millrace::storage
