// Looking: through the reading connection, so that lists never wait for writers.
#include <fmt/format.h>

#include <sstream>

#include "base/json.h"
#include "storage/sqlite/driver_impl.h"

namespace millrace::storage::sqlite {
namespace {

constexpr std::string_view kSelectJob =
    "SELECT j.id, k.name, j.args, q.name, j.priority, j.state, j.created_at, j.run_at, j.started_at, j.finished_at, "
    "j.attempt,"
    " j.max_attempts, j.crashes, j.max_crashes, j.timeout, j.partition_key, j.unique_key, j.run, j.tags, j.result, "
    "j.error,"
    " j.progress, j.progress_message, j.cancel_requested, w.id, (j.token & 4611686018427387903) >> 40,"
    " CASE WHEN j.state = 0 THEN"
    "  (SELECT group_concat(needs, ' ') FROM (SELECT needs FROM dependency WHERE job = j.id ORDER BY needs)) END,"
    " CASE WHEN j.state = 0 THEN (SELECT policy FROM waiting_job WHERE job = j.id) END"
    " FROM job j JOIN kind k ON k.id = j.kind JOIN queue q ON q.id = j.queue"
    // The token's bits 40 to 61; see state.h.
    " LEFT JOIN worker w ON w.incarnation = (j.token & 4611686018427387903) >> 40";

Job ReadJob(const SqlRow& row) {
  Job job;
  job.id = row.integer(0);
  job.kind = row.text(1);
  job.args = row.text(2);
  job.queue = row.text(3);
  job.priority = static_cast<Priority>(row.integer(4));
  job.state = static_cast<JobState>(row.integer(5));
  job.created_at = FromMicros(row.integer(6));
  job.run_at = FromMicros(row.integer(7));
  job.worker = row.text(24);
  if (row.integer(25) != 0) job.started_at = FromMicros(row.integer(8));
  const bool finished = job.state >= JobState::kCompleted;
  if (finished) job.finished_at = FromMicros(row.integer(9));
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
  job.cancel_requested = row.integer(23) != 0;
  std::istringstream after{std::string(row.text(26))};
  for (JobId id = 0; after >> id;) job.after.push_back(id);
  job.when = static_cast<DependencyPolicy>(row.integer(27));
  return job;
}

// Conditions and their values, joined by AND.
struct Where {
  std::string text;
  std::vector<SqlValue> values;
  void Add(std::string_view condition, SqlValue value) {
    Add(condition);
    values.push_back(value);
  }
  void Add(std::string_view condition) { text += (text.empty() ? " WHERE " : " AND ") + std::string(condition); }
};

Where Conditions(const JobFilter& filter) {
  Where where;
  if (!filter.states.empty()) {
    std::string list;
    for (const JobState state : filter.states)
      list += (list.empty() ? "" : ", ") + std::to_string(static_cast<int>(state));
    where.Add("j.state IN (" + list + ")");
  }
  if (!filter.ids.empty()) {
    std::string list;
    for (const JobId id : filter.ids) list += (list.empty() ? "" : ", ") + std::to_string(id);
    where.Add("j.id IN (" + list + ")");
  }
  if (!filter.queue.empty()) where.Add("q.name = ?", std::string_view(filter.queue));
  if (!filter.kind.empty()) where.Add("k.name = ?", std::string_view(filter.kind));
  if (!filter.tag.empty())
    where.Add("EXISTS (SELECT 1 FROM json_each(j.tags) WHERE value = ?)", std::string_view(filter.tag));
  if (filter.priority) where.Add("j.priority = ?", std::int64_t{static_cast<int>(*filter.priority)});
  if (filter.run_id != 0) where.Add("j.run = ?", filter.run_id);
  if (filter.after_id > 0) where.Add("j.id > ?", filter.after_id);
  return where;
}

}  // namespace

Result<std::vector<Job>> FindJobs(Database& database, const JobFilter& filter) {
  Where where = Conditions(filter);
  where.values.emplace_back(std::int64_t{filter.limit});
  const std::string sql = std::string(kSelectJob) + where.text + " ORDER BY j.id LIMIT ?";
  std::vector<Job> jobs;
  MILLRACE_TRY(database.query(sql, where.values, [&](const SqlRow& row) {
    jobs.push_back(ReadJob(row));
    return true;
  }));
  return jobs;
}

Result<void> Driver::SettleDue() {
  if (only_looks_) return {};
  const std::lock_guard lock(writer_mutex_);
  const Time now = clock_.Now();
  while (true) {
    MILLRACE_ASSIGN(Statement * due, writer_->Prepare(queries::kNextDue));
    bool any = false;
    {
      const Resetting resetting(*due);
      MILLRACE_ASSIGN(const bool row, due->Step());
      any = row && !due->is_null(0) && FromMicros(due->integer(0)) <= now;
    }
    if (!any) return {};
    MILLRACE_TRY(InTransaction([&] { return MakeDue(now); }));
  }
}

Result<std::vector<Job>> Driver::ListJobs(const JobFilter& filter) {
  MILLRACE_TRY(SettleDue());
  const std::lock_guard lock(reader_mutex_);
  return FindJobs(*reader_, filter);
}

Result<std::optional<Job>> Driver::GetJob(JobId id) {
  JobFilter filter;
  filter.ids = {id};
  MILLRACE_ASSIGN(std::vector<Job> jobs, ListJobs(filter));
  return jobs.empty() ? std::nullopt : std::optional(std::move(jobs.front()));
}

Result<std::vector<Attempt>> Driver::Attempts(JobId id) {
  std::vector<Attempt> attempts;
  const std::lock_guard lock(reader_mutex_);
  const SqlValue value = id;
  MILLRACE_TRY(reader_->query(queries::kAttemptsOfJob, {&value, 1}, [&](const SqlRow& row) {
    attempts.push_back({static_cast<int>(row.integer(0)), std::string(row.text(1)), std::string(row.text(2)),
                        std::string(row.text(3)), FromMicros(row.integer(4)), FromMicros(row.integer(5))});
    return true;
  }));
  return attempts;
}

Result<std::vector<QueueRow>> Driver::Queues() {
  MILLRACE_TRY(SettleDue());
  std::vector<QueueRow> rows;
  const std::lock_guard lock(writer_mutex_);  // counts live in memory
  MILLRACE_ASSIGN(Statement * oldest, writer_->Prepare(queries::kOldestAvailable));
  for (const QueueState& queue : state_.queues) {
    QueueRow& row = rows.emplace_back();
    row.name = queue.options.name;
    row.paused = queue.paused;
    row.options = queue.options;
    for (int p = 0; p < kPriorityCount; ++p) {
      std::copy(std::begin(queue.count[p]), std::end(queue.count[p]), row.counts[p]);
      if (queue.count[p][static_cast<int>(JobState::kAvailable)] == 0) continue;
      const Resetting resetting(*oldest);
      MILLRACE_ASSIGN(const bool found, oldest->Bind(queue.id, p).Step());
      if (!found || oldest->is_null(0)) continue;
      const Time at = FromMicros(oldest->integer(0));
      row.oldest_of[p] = at;
      row.oldest_available = row.oldest_available ? std::min(*row.oldest_available, at) : at;
    }
  }
  std::sort(rows.begin(), rows.end(), [](const QueueRow& a, const QueueRow& b) { return a.name < b.name; });
  return rows;
}

PoolStats Driver::Connections() {
  PoolStats stats;
  stats.size = stats.min = stats.max = 2;
  stats.opened = 2;
  for (std::mutex* const mutex : {&writer_mutex_, &reader_mutex_}) {
    const std::unique_lock free(*mutex, std::try_to_lock);
    ++(free ? stats.idle : stats.active);
  }
  return stats;
}

Result<std::vector<WorkerRow>> Driver::Workers() {
  std::map<std::string, WorkerRow> rows;  // the latest life of each id
  const std::lock_guard lock(writer_mutex_);
  MILLRACE_TRY(writer_->query(queries::kWorkers, {}, [&](const SqlRow& row) {
    WorkerRow worker;
    worker.incarnation = row.integer(0);
    worker.info.id = row.text(1);
    worker.info.type = row.text(2);
    worker.info.host = row.text(3);
    worker.info.pid = row.integer(4);
    worker.info.slots = static_cast<int>(row.integer(5));
    worker.state = static_cast<WorkerState>(row.integer(6));
    worker.started_at = FromMicros(row.integer(7));
    worker.last_heartbeat = FromMicros(row.integer(8));
    rows[worker.info.id] = std::move(worker);
    return true;
  }));
  for (const auto& [id, job] : state_.running) {
    if (const auto found = rows.find(WorkerName(job.token)); found != rows.end()) ++found->second.running;
  }
  std::vector<WorkerRow> list;
  list.reserve(rows.size());
  for (auto& [id, row] : rows) list.push_back(std::move(row));
  return list;
}

Result<std::set<std::string>> Driver::KnownKinds() {
  std::set<std::string> kinds;
  const std::lock_guard lock(reader_mutex_);
  MILLRACE_TRY(reader_->query(queries::kHandledKinds, {}, [&](const SqlRow& row) {
    kinds.emplace(row.text(0));
    return true;
  }));
  return kinds;
}

}  // namespace millrace::storage::sqlite
