// Leadership: who does what one worker of all must do.
#include <array>

#include "storage/postgres/driver_impl.h"

namespace millrace::storage::postgres {

Params Driver::CampaignParams(const WorkerRef& worker, const Campaign& campaign) {
  Params params;
  params.Text(campaign.scope).Text(worker.id).Int(worker.incarnation).Int(campaign.ttl.count());
  return params;
}

// Rows of lead: current, leads, holder, incarnation, epoch, left_us.
Leadership Driver::ReadLeadership(const Campaign& campaign, const ResultSet::Row& row) {
  Leadership leadership;
  leadership.scope = campaign.scope;
  leadership.leads = row.boolean(1);
  leadership.epoch = row.integer(4);
  if (row.is_null(3)) return leadership;
  leadership.holder = row.text(2);
  leadership.incarnation = row.integer(3);
  leadership.left = Duration(row.integer(5));
  return leadership;
}

Result<Leadership> Driver::Lead(const WorkerRef& worker, const Campaign& campaign) {
  if (campaign.scope.empty() || campaign.ttl <= Duration(0))
    return fail(ErrorCode::kInvalidArgument, "a leadership needs a scope and a ttl");
  MILLRACE_ASSIGN(const ResultSet rows, Run(statements_.lead, CampaignParams(worker, campaign)));
  if (!rows.row(0).boolean(0))
    return fail(ErrorCode::kLeaseLost, "worker " + worker.id + " is superseded or has stopped; it leads nothing");
  return ReadLeadership(campaign, rows.row(0));
}

Result<void> Driver::Resign(const WorkerRef& worker, const std::string& scope) {
  MILLRACE_TRY(Run(statements_.resign, Params().Text(scope).Int(worker.incarnation)));
  return {};
}

Result<std::vector<Leadership>> Driver::Leaders() {
  MILLRACE_ASSIGN(const ResultSet rows, Run(statements_.leaders, Params()));
  std::vector<Leadership> leaders;
  for (int i = 0; i < rows.rows(); ++i) {
    const ResultSet::Row row = rows.row(i);
    leaders.push_back({std::string(row.text(0)), false, std::string(row.text(1)), row.integer(2), row.integer(3),
                       Duration(row.integer(4))});
  }
  return leaders;
}

Result<ResultSet> Driver::RunAs(const Leadership& as, const Query& query, const Params& params) {
  if (as.scope.empty()) return Run(query, params);
  const Params fence = Params().Text(as.scope).Text(as.holder).Int(as.incarnation).Int(as.epoch);
  const std::array<Call, 2> calls = {Call{&statements_.lead_in, &fence}, Call{&query, &params}};
  MILLRACE_ASSIGN(std::vector<ResultSet> results, RunTogether(calls));
  return std::move(results.back());
}

}  // namespace millrace::storage::postgres
