#include "storage/conformance/helpers.h"

namespace millrace::storage {

NewJob JobOf(const std::string& kind, const std::function<void(NewJob&)>& change) {
  NewJob job;
  job.kind = kind;
  if (change) change(job);
  return job;
}

Report ReportOf(const ClaimedJob& job, Verdict verdict, Duration delay, const std::string& text) {
  Report report;
  report.id = job.id;
  report.attempt = job.attempt;
  report.token = job.token;
  report.verdict = verdict;
  report.delay = delay;
  report.text = text;
  return report;
}

JobFilter ByIds(std::vector<JobId> ids) {
  JobFilter filter;
  filter.ids = std::move(ids);
  return filter;
}

std::vector<JobId> IdsOf(const std::vector<ClaimedJob>& jobs) {
  std::vector<JobId> ids;
  for (const ClaimedJob& job : jobs) ids.push_back(job.id);
  return ids;
}

}  // namespace millrace::storage
