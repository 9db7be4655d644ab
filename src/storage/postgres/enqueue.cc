#include <fmt/format.h>

#include <array>

#include "engine/validate.h"
#include "storage/postgres/driver_impl.h"

namespace millrace::storage::postgres {
namespace {

std::vector<const NewJob*> Pointers(std::span<const NewJob> jobs) {
  std::vector<const NewJob*> pointers;
  pointers.reserve(jobs.size());
  for (const NewJob& job : jobs) pointers.push_back(&job);
  return pointers;
}

std::vector<Enqueued> ReadEnqueued(const ResultSet& rows) {
  std::vector<Enqueued> enqueued;
  enqueued.reserve(static_cast<std::size_t>(rows.rows()));
  for (int i = 0; i < rows.rows(); ++i) enqueued.push_back({rows.row(i).integer(0), rows.row(i).boolean(1)});
  return enqueued;
}

}  // namespace

Params Driver::EnqueueParams(std::span<const NewJob> jobs) const {
  Params params;
  AddJobs(params, Pointers(jobs), true);
  if (std::none_of(options_.capacity.begin(), options_.capacity.end(), [](const auto& room) { return room; })) {
    params.UntypedNull();
  } else {
    std::vector<std::int64_t> capacity;
    for (const auto& room : options_.capacity) capacity.push_back(room.value_or(INT64_MAX));
    params.Ints(capacity);
  }
  params.Bool(true);
  AddDependencies(params, Pointers(jobs));
  return params;
}

// Inside a savepoint: a refusal (a full queue, say) leaves the caller's transaction as it was.
Result<std::vector<Enqueued>> Driver::EnqueueOn(Connection& connection, std::span<const NewJob> jobs) {
  MILLRACE_TRY(engine::ValidateNewJobs(jobs));
  if (jobs.empty()) return std::vector<Enqueued>();
  const Query save{"savepoint", "SAVEPOINT millrace_enqueue"};
  const Query release{"release", "RELEASE SAVEPOINT millrace_enqueue"};
  const Params params = EnqueueParams(jobs);
  const std::array<Call, 3> calls = {Call{&save}, Call{&statements_.enqueue, &params}, Call{&release}};
  auto results = connection.Pipeline(calls);
  if (results) return ReadEnqueued((*results)[1]);
  if (!connection.broken()) MILLRACE_TRY(connection.Script("ROLLBACK TO SAVEPOINT millrace_enqueue"));
  return fail(results.error());
}

Result<std::vector<Enqueued>> Driver::Enqueue(std::span<const NewJob> jobs) {
  MILLRACE_TRY(engine::ValidateNewJobs(jobs));
  if (jobs.empty()) return std::vector<Enqueued>();
  MILLRACE_ASSIGN(const ResultSet rows, Run(statements_.enqueue, EnqueueParams(jobs)));
  return ReadEnqueued(rows);
}

Result<std::vector<Enqueued>> Driver::EmitNow(const WorkerRef& worker, JobId id, int attempt, std::int64_t token,
                                              std::span<const NewJob> jobs) {
  if (auto valid = engine::ValidateNewJobs(jobs); !valid) {
    Params lease;
    lease.Text(worker.id).Int(worker.incarnation).Int(id).Int4(attempt).Int(token);
    MILLRACE_ASSIGN(const ResultSet rows, Run(statements_.holds_lease, lease));
    if (rows.row(0).boolean(0)) return fail(valid.error());
    return fail(ErrorCode::kLeaseLost,
                fmt::format("job {} attempt {}: its lease is lost; nothing was enqueued", id, attempt));
  }
  Params params;
  params.Text(worker.id).Int(worker.incarnation).Int(id).Int4(attempt).Int(token);
  AddJobs(params, Pointers(jobs), false);
  AddDependencies(params, Pointers(jobs));
  MILLRACE_ASSIGN(const ResultSet rows, Run(statements_.emit_jobs, params));
  return ReadEnqueued(rows);
}

}  // namespace millrace::storage::postgres
