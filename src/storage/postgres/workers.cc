// Workers: one row per life of a worker, one heartbeat per interval, never per job.
#include <fmt/format.h>

#include <tuple>

#include "base/json.h"
#include "base/utf8.h"
#include "storage/postgres/driver_impl.h"

namespace millrace::storage::postgres {

Result<WorkerRef> Driver::RegisterWorker(const WorkerInfo& info) {
  if (info.id.empty()) return fail(ErrorCode::kInvalidArgument, "a worker needs an id");
  std::string timeouts = "{";
  for (const auto& [kind, timeout] : info.timeouts) {
    if (timeouts.size() > 1) timeouts += ',';
    timeouts += base::JsonQuote(kind) + ':' + std::to_string(timeout.count());
  }
  timeouts += '}';
  Params params;
  params.Text(info.id).Text(info.type).Text(info.host).Int(info.pid).Int4(info.slots).Text(timeouts);
  params.Texts(std::span<const std::string>(info.kinds));
  MILLRACE_ASSIGN(const ResultSet rows, Run(statements_.register_worker, params));
  const WorkerRef worker{info.id, rows.row(0).integer(0)};
  const std::lock_guard lock(work_mutex_);
  waiting_[worker.incarnation];
  return worker;
}

Result<HeartbeatReply> Driver::Heartbeat(const WorkerRef& worker, WorkerState state,
                                         std::span<const JobProgress> progress, const Campaign& campaign) {
  std::vector<std::int64_t> ids;
  std::vector<std::int32_t> attempts;
  std::vector<std::int64_t> tokens;
  std::vector<std::string> fractions;
  std::vector<std::string> messages;
  // Of two steps of one attempt the later one counts; an UPDATE would take either.
  std::map<std::tuple<JobId, int, std::int64_t>, const JobProgress*> latest;
  for (const JobProgress& step : progress) latest[{step.id, step.attempt, step.token}] = &step;
  for (const auto& [lease, pointer] : latest) {
    const JobProgress& step = *pointer;
    ids.push_back(step.id);
    attempts.push_back(step.attempt);
    tokens.push_back(step.token);
    fractions.push_back(fmt::format("{}", step.fraction));
    messages.push_back(base::ToCleanUtf8(step.message, std::string::npos));
  }
  Params params;
  params.Text(worker.id).Int(worker.incarnation).Int2(static_cast<std::int16_t>(state)).Ints(ids).Int4s(attempts);
  params.Ints(tokens).Texts(std::span<const std::string>(fractions)).Texts(std::span<const std::string>(messages));
  const Params wish = CampaignParams(worker, campaign);
  std::vector<Call> calls = {{&statements_.heartbeat, &params}};
  if (!campaign.scope.empty()) calls.push_back({&statements_.lead, &wish});
  MILLRACE_ASSIGN(const std::vector<ResultSet> results, RunTogether(calls));
  ReleaseLost(worker);
  HeartbeatReply reply;
  reply.superseded = results.front().row(0).boolean(0);
  reply.cancelled = ParseIds(results.front().row(0).text(1));
  if (!reply.superseded && calls.size() > 1) reply.leadership = ReadLeadership(campaign, results.back().row(0));
  return reply;
}

Result<void> Driver::StopWorker(const WorkerRef& worker) {
  MILLRACE_ASSIGN(const ResultSet rows, Run(statements_.stop_worker, Params().Text(worker.id).Int(worker.incarnation)));
  {
    const std::lock_guard lock(work_mutex_);
    waiting_.erase(worker.incarnation);
  }
  AdvanceRuns(ParseIds(rows.row(0).text(0)));
  return {};
}

}  // namespace millrace::storage::postgres
