// Looking: jobs wherever they stand, queues by their counters, workers.
#include <fmt/format.h>

#include "base/json.h"
#include "storage/postgres/driver_impl.h"

namespace millrace::storage::postgres {
namespace {

constexpr std::string_view kSelectJob =
    "SELECT j.id, j.kind, j.args::text, j.queue, j.priority, j.state, j.created_at, j.run_at, j.started_at, "
    "j.finished_at,"
    " j.attempt, j.max_attempts, j.crashes, j.max_crashes, j.timeout, j.partition_key, j.unique_key, j.run,"
    " to_json(j.tags)::text, j.result, j.error, j.progress, j.progress_message, j.cancel_requested, w.id,"
    " CASE WHEN j.state = 0 THEN (SELECT string_agg(d.needs::text, ' ' ORDER BY d.needs) FROM {0}.dependency AS d"
    "                             WHERE d.job = j.id) END,"
    " CASE WHEN j.state = 0 THEN (SELECT wait.policy FROM {0}.waiting_job AS wait WHERE wait.job = j.id) END"
    " FROM {0}.every_job AS j LEFT JOIN {0}.worker AS w ON w.incarnation = j.incarnation";

Job ReadJob(const ResultSet::Row& row) {
  Job job;
  job.id = row.integer(0);
  job.kind = row.text(1);
  job.args = row.text(2);
  job.queue = row.text(3);
  job.priority = static_cast<Priority>(row.integer(4));
  job.state = static_cast<JobState>(row.integer(5));
  job.created_at = row.time(6);
  job.run_at = row.time(7);
  if (!row.is_null(8)) job.started_at = row.time(8);
  if (!row.is_null(9)) job.finished_at = row.time(9);
  job.attempt = static_cast<int>(row.integer(10));
  job.max_attempts = static_cast<int>(row.integer(11));
  job.crashes = static_cast<int>(row.integer(12));
  job.max_crashes = static_cast<int>(row.integer(13));
  job.timeout = Duration(row.integer(14));
  job.partition_key = row.text(15);
  job.unique_key = row.text(16);
  job.run_id = row.integer(17);
  job.tags = base::TextsFromJson(row.text(18));
  job.result = row.text(19);
  job.error = row.text(20);
  job.progress = row.real(21);
  job.progress_message = row.text(22);
  job.cancel_requested = row.boolean(23);
  job.worker = row.text(24);
  job.after = ParseIds(row.text(25));
  job.when = static_cast<DependencyPolicy>(row.integer(26));
  return job;
}

// Conditions joined by AND, and their parameters.
class Where {
 public:
  // {} in `condition` is the parameter that was added last.
  void Add(std::string_view condition) {
    text_ +=
        (text_.empty() ? " WHERE " : " AND ") + fmt::format(fmt::runtime(condition), fmt::format("${}", params.size()));
  }
  [[nodiscard]] const std::string& text() const { return text_; }
  Params params;

 private:
  std::string text_;
};

Where Conditions(const JobFilter& filter) {
  Where where;
  if (!filter.states.empty()) {
    std::vector<std::int16_t> states;
    for (const JobState state : filter.states) states.push_back(static_cast<std::int16_t>(state));
    where.params.Int2s(states);
    where.Add("j.state = ANY ({})");
  }
  if (!filter.ids.empty()) {
    where.params.Ints(filter.ids);
    where.Add("j.id = ANY ({})");
  }
  if (!filter.queue.empty()) {
    where.params.Text(filter.queue);
    where.Add("j.queue = {}");
  }
  if (!filter.kind.empty()) {
    where.params.Text(filter.kind);
    where.Add("j.kind = {}");
  }
  if (!filter.tag.empty()) {
    where.params.Text(filter.tag);
    where.Add("{} = ANY (j.tags)");
  }
  if (filter.priority) {
    where.params.Int2(static_cast<std::int16_t>(*filter.priority));
    where.Add("j.priority = {}");
  }
  if (filter.run_id != 0) {
    where.params.Int(filter.run_id);
    where.Add("j.run = {}");
  }
  if (filter.after_id > 0) {
    where.params.Int(filter.after_id);
    where.Add("j.id > {}");
  }
  return where;
}

}  // namespace

Result<std::vector<Job>> Driver::ListJobs(const JobFilter& filter) {
  Where where = Conditions(filter);
  where.params.Int(filter.limit);
  const Query query{"list_jobs", fmt::format(fmt::runtime(kSelectJob), options_.schema) + where.text() +
                                     fmt::format(" ORDER BY j.id LIMIT ${}", where.params.size())};
  MILLRACE_ASSIGN(const ResultSet rows, Run(query, where.params));
  std::vector<Job> jobs;
  for (int i = 0; i < rows.rows(); ++i) jobs.push_back(ReadJob(rows.row(i)));
  return jobs;
}

Result<std::optional<Job>> Driver::GetJob(JobId id) {
  JobFilter filter;
  filter.ids = {id};
  MILLRACE_ASSIGN(std::vector<Job> jobs, ListJobs(filter));
  return jobs.empty() ? std::nullopt : std::optional(std::move(jobs.front()));
}

Result<std::vector<Attempt>> Driver::Attempts(JobId id) {
  MILLRACE_ASSIGN(const ResultSet rows, Run(statements_.attempts, Params().Int(id)));
  std::vector<Attempt> attempts;
  for (int i = 0; i < rows.rows(); ++i) {
    const ResultSet::Row row = rows.row(i);
    attempts.push_back({static_cast<int>(row.integer(0)), std::string(row.text(1)), std::string(row.text(2)),
                        std::string(row.text(3)), row.time(4), row.time(5)});
  }
  return attempts;
}

Result<std::vector<QueueRow>> Driver::Queues() {
  const Params none;
  const std::array<Call, 3> calls = {Call{&statements_.queues, &none}, Call{&statements_.lane_counts, &none},
                                     Call{&statements_.oldest_available, &none}};
  MILLRACE_ASSIGN(const std::vector<ResultSet> results, RunTogether(calls));
  std::map<std::string, QueueRow> queues;
  for (int i = 0; i < results[0].rows(); ++i) {
    const ResultSet::Row row = results[0].row(i);
    QueueRow& queue = queues[std::string(row.text(0))];
    queue.paused = row.boolean(1);
    if (!row.is_null(2)) queue.options.capacity = row.integer(2);
    queue.options.overflow = static_cast<Overflow>(row.integer(3));
    queue.options.spill_to = static_cast<Priority>(row.integer(4));
    if (!row.is_null(5)) queue.options.rate_limit = row.real(5);
    if (!row.is_null(6)) queue.options.concurrency = static_cast<int>(row.integer(6));
  }
  for (int i = 0; i < results[1].rows(); ++i) {
    const ResultSet::Row row = results[1].row(i);
    auto& counts = queues[std::string(row.text(0))].counts[row.integer(1)];
    for (int s = 0; s < kJobStateCount; ++s) counts[s] = row.integer(2 + s);
  }
  for (int i = 0; i < results[2].rows(); ++i) {
    const ResultSet::Row row = results[2].row(i);
    QueueRow& queue = queues[std::string(row.text(0))];
    const Time at = row.time(2);
    queue.oldest_of[row.integer(1)] = at;
    queue.oldest_available = queue.oldest_available ? std::min(*queue.oldest_available, at) : at;
  }
  std::vector<QueueRow> list;
  const std::lock_guard lock(retries_mutex_);
  for (auto& [name, queue] : queues) {
    queue.name = queue.options.name = name;
    if (const auto found = queue_retries_.find(name); found != queue_retries_.end())
      queue.options.retry = found->second;
    list.push_back(std::move(queue));
  }
  return list;
}

Result<std::vector<WorkerRow>> Driver::Workers() {
  MILLRACE_ASSIGN(const ResultSet rows, Run(statements_.workers, Params()));
  std::vector<WorkerRow> workers;
  for (int i = 0; i < rows.rows(); ++i) {
    const ResultSet::Row row = rows.row(i);
    WorkerRow& worker = workers.emplace_back();
    worker.incarnation = row.integer(0);
    worker.info.id = row.text(1);
    worker.info.type = row.text(2);
    worker.info.host = row.text(3);
    worker.info.pid = row.integer(4);
    worker.info.slots = static_cast<int>(row.integer(5));
    worker.state = static_cast<WorkerState>(row.integer(6));
    worker.started_at = row.time(7);
    worker.last_heartbeat = row.time(8);
    worker.running = row.integer(9);
  }
  return workers;
}

Result<std::set<std::string>> Driver::KnownKinds() {
  MILLRACE_ASSIGN(const ResultSet rows, Run(statements_.known_kinds, Params()));
  std::set<std::string> kinds;
  for (int i = 0; i < rows.rows(); ++i) kinds.emplace(rows.row(i).text(0));
  return kinds;
}

}  // namespace millrace::storage::postgres
