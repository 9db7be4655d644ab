// Leadership. One process owns the file, so who leads stands in memory, and a renewal writes nothing; epochs stand in
// the file, since none may come twice.
#include <fmt/format.h>

#include <algorithm>

#include "storage/sqlite/driver_impl.h"

namespace millrace::storage::sqlite {

bool Driver::LeaderState::Holds(const WorkerRef& worker, Time now) const {
  return holder.id == worker.id && holder.incarnation == worker.incarnation && now < until;
}

// In the transaction under way; KeepLeader remembers it once that has committed.
Result<Driver::LeaderState> Driver::LeaderAfter(const WorkerRef& worker, const Campaign& campaign, Time now) {
  LeaderState leader;
  if (const auto found = leaders_.find(campaign.scope); found != leaders_.end()) {
    leader = found->second;
  } else {
    MILLRACE_ASSIGN(Statement * read, writer_->Prepare(queries::kEpoch));
    const Resetting resetting(*read);
    MILLRACE_TRY(read->Bind(std::string_view(campaign.scope)).Step());
    leader.epoch = read->integer(0);
  }
  if (now < leader.until && !leader.Holds(worker, now)) return leader;
  if (now >= leader.until) {
    ++leader.epoch;
    MILLRACE_ASSIGN(Statement * put, writer_->Prepare(queries::kPutEpoch));
    MILLRACE_TRY(put->Bind(std::string_view(campaign.scope), leader.epoch).Run());
  }
  leader.holder = worker;
  leader.until = now + campaign.ttl;
  return leader;
}

Leadership Driver::KeepLeader(const WorkerRef& worker, const std::string& scope, const LeaderState& leader, Time now) {
  leaders_[scope] = leader;
  return {scope,        leader.Holds(worker, now), leader.holder.id, leader.holder.incarnation,
          leader.epoch, leader.until - now};
}

Result<Leadership> Driver::Lead(const WorkerRef& worker, const Campaign& campaign) {
  if (campaign.scope.empty() || campaign.ttl <= Duration(0))
    return fail(ErrorCode::kInvalidArgument, "a leadership needs a scope and a ttl");
  const std::lock_guard lock(writer_mutex_);
  MILLRACE_TRY(CheckWorker(worker));
  const Time now = clock_.Now();
  LeaderState leader;
  MILLRACE_TRY(InTransaction([&]() -> Result<void> {
    MILLRACE_ASSIGN(leader, LeaderAfter(worker, campaign, now));
    return {};
  }));
  return KeepLeader(worker, campaign.scope, leader, now);
}

Result<void> Driver::Resign(const WorkerRef& worker, const std::string& scope) {
  const std::lock_guard lock(writer_mutex_);
  const Time now = clock_.Now();
  const auto found = leaders_.find(scope);
  if (found != leaders_.end() && found->second.Holds(worker, now)) found->second.until = now;
  return {};
}

void Driver::EndLeaderships(const std::string& worker, Time now) {
  for (auto& [scope, leader] : leaders_) {
    if (leader.holder.id == worker) leader.until = std::min(leader.until, now);
  }
}

Result<std::vector<Leadership>> Driver::Leaders() {
  const std::lock_guard lock(writer_mutex_);
  const Time now = clock_.Now();
  std::vector<Leadership> rows;
  for (const auto& [scope, leader] : leaders_) {
    if (now >= leader.until) continue;
    rows.push_back({scope, false, leader.holder.id, leader.holder.incarnation, leader.epoch, leader.until - now});
  }
  return rows;
}

Result<void> Driver::CheckLeads(const Leadership& as, Time now) const {
  if (as.scope.empty()) return {};
  const auto found = leaders_.find(as.scope);
  const WorkerRef worker{as.holder, as.incarnation};
  if (found != leaders_.end() && found->second.epoch == as.epoch && found->second.Holds(worker, now)) return {};
  return fail(ErrorCode::kLeaseLost, fmt::format("{} no longer leads '{}' in epoch {}", as.holder, as.scope, as.epoch));
}

}  // namespace millrace::storage::sqlite
