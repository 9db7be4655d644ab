// Claim: one call takes from a single lane; several lanes need a second one, with the engine's turns between them.
#include <algorithm>
#include <set>
#include <unordered_map>

#include "base/json.h"
#include "storage/postgres/deal.h"
#include "storage/postgres/driver_impl.h"

namespace millrace::storage::postgres {
namespace {

// claim_row's columns, see migrations/001_engine.up.sql.
enum Column : int {
  kStep,
  kId,
  kRunAt,
  kCreatedAt,
  kStartedAt,
  kToken,
  kRun,
  kTimeout,
  kAttempt,
  kMaxAttempts,
  kCrashes,
  kPriority,
  kQueue,
  kKind,
  kPartitionKey,
  kUniqueKey,
  kTags,
  kArgs,
};

constexpr std::int64_t kNothing = 0;
constexpr std::int64_t kClaimed = 1;
constexpr std::int64_t kCandidate = 2;
constexpr std::int64_t kRoom = 3;

// How long a busy worker may go on in one lane before it looks at all of them again, and what it must have claimed at
// once to count as busy.
constexpr auto kNearFor = std::chrono::milliseconds(50);
constexpr std::size_t kBusyClaim = 100;
// Claims that got all they asked for, one after the other, after which a worker is not idle any more: notifications
// then only cost.
constexpr int kFullClaims = 3;
// Spare partitions to choose from, while others take the first ones.
constexpr int kFewSpares = 4;
constexpr int kMostSpares = 16;
// A claim that was cut off ends within the server's statement timeout and the time it takes to notice a dead client.
constexpr auto kClaimEndsWithin = std::chrono::seconds(120);

ClaimedJob ReadJob(const ResultSet::Row& row) {
  ClaimedJob job;
  job.id = row.integer(kId);
  job.token = row.integer(kToken);
  job.kind = row.text(kKind);
  job.args = row.text(kArgs);
  job.queue = row.text(kQueue);
  job.priority = static_cast<Priority>(row.integer(kPriority));
  job.attempt = static_cast<int>(row.integer(kAttempt));
  job.max_attempts = static_cast<int>(row.integer(kMaxAttempts));
  job.crashes = static_cast<int>(row.integer(kCrashes));
  job.timeout = Duration(row.integer(kTimeout));
  job.created_at = row.time(kCreatedAt);
  job.run_at = row.time(kRunAt);
  job.claimed_at = row.time(kStartedAt);
  job.partition_key = row.text(kPartitionKey);
  job.unique_key = row.text(kUniqueKey);
  job.run_id = row.integer(kRun);
  job.tags = base::TextsFromJson(row.text(kTags));
  return job;
}

Claimed ReadClaimed(const ResultSet& rows) {
  Claimed claimed;
  claimed.jobs.reserve(static_cast<std::size_t>(rows.rows()));
  for (int i = 0; i < rows.rows(); ++i) {
    const ResultSet::Row row = rows.row(i);
    if (row.integer(kStep) == kClaimed) claimed.jobs.push_back(ReadJob(row));
    if (row.integer(kStep) == kNothing && !row.is_null(kRunAt)) claimed.next_due = row.time(kRunAt);
  }
  return claimed;
}

Offer ReadOffer(const ResultSet& rows) {
  Offer offer;
  for (int i = 0; i < rows.rows(); ++i) {
    const ResultSet::Row row = rows.row(i);
    if (row.integer(kStep) == kRoom) {
      offer.rooms[std::string(row.text(kQueue))] = row.integer(kId);
    } else if (row.integer(kStep) == kCandidate) {
      offer.candidates.push_back({row.integer(kId), row.time(kRunAt), std::string(row.text(kQueue)),
                                  static_cast<Priority>(row.integer(kPriority)), std::string(row.text(kPartitionKey))});
    } else {
      offer.now = row.time(kRunAt);
    }
  }
  return offer;
}

// Into the plan's order; jobs that took the place of ones it named (others had claimed those) come last.
void Arrange(std::vector<ClaimedJob>& jobs, const std::vector<JobId>& order) {
  std::unordered_map<JobId, std::size_t> place;
  for (std::size_t i = 0; i < order.size(); ++i) place[order[i]] = i;
  const auto place_of = [&](const ClaimedJob& job) {
    const auto found = place.find(job.id);
    return found == place.end() ? order.size() : found->second;
  };
  std::stable_sort(jobs.begin(), jobs.end(),
                   [&](const ClaimedJob& a, const ClaimedJob& b) { return place_of(a) < place_of(b); });
}

}  // namespace

Driver::NumberedClaim Driver::ClaimParams(const ClaimRequest& request) {
  NumberedClaim claim;
  Params& params = claim.params;
  const int held = request.max_held < 0 ? request.max_jobs : std::min(request.max_held, request.max_jobs);
  params.Text(request.worker.id).Int(request.worker.incarnation).Int4(request.max_jobs).Int4(held);
  AddFilter(params, request);
  params.Int(options_.claim_timeout.count());
  const std::lock_guard lock(work_mutex_);
  Waiting& waiting = waiting_[request.worker.incarnation];
  const auto now = std::chrono::steady_clock::now();
  if (waiting.near && now - waiting.looked_at < kNearFor) {
    params.Text(waiting.near->queue).Int2(static_cast<std::int16_t>(waiting.near->priority)).Time(waiting.near->run_at);
  } else {
    waiting.looked_at = now;
    params.NullText().UntypedNull().NullTime();
  }
  claim.number = ++waiting.claims;
  params.Int(claim.number).Int4(waiting.spares);
  return claim;
}

bool Driver::IsBusy(const WorkerRef& worker) {
  const std::lock_guard lock(work_mutex_);
  return waiting_[worker.incarnation].near.has_value();
}

Result<Claimed> Driver::ClaimPlanned(const ClaimRequest& request, const ResultSet& candidates, std::int64_t number) {
  Plan plan;
  {
    const std::lock_guard lock(share_mutex_);
    const int held = request.max_held < 0 ? request.max_jobs : request.max_held;
    plan = Deal(ReadOffer(candidates), request.max_jobs, held, fair_share_);
  }
  std::vector<std::string> queues;
  std::vector<std::int16_t> priorities;
  std::vector<std::int32_t> quotas;
  for (const Plan::Quota& quota : plan.quotas) {
    queues.push_back(quota.queue);
    priorities.push_back(static_cast<std::int16_t>(quota.priority));
    quotas.push_back(quota.jobs);
  }
  Params params;
  params.Text(request.worker.id).Int(request.worker.incarnation).Texts(std::span<const std::string>(queues));
  params.Int2s(priorities).Int4s(quotas).Ints(plan.partitioned).Int(options_.claim_timeout.count());
  params.Int(number).Ints(plan.spares);
  const auto rows = Run(statements_.claim_plan, params);
  if (!rows) {
    NoteLost(request.worker, number, rows.error());
    return fail(rows.error());
  }
  Claimed claimed = ReadClaimed(*rows);
  Arrange(claimed.jobs, plan.order);
  NoteRace(request.worker, plan, claimed.jobs);
  // Others were quicker: there may be more where that came from.
  claimed.more = claimed.jobs.size() < plan.order.size();
  return claimed;
}

Result<Claimed> Driver::FinishClaim(const ClaimRequest& request, const ResultSet& rows, std::uint64_t seen,
                                    std::int64_t number) {
  Claimed claimed;
  const auto step = rows.empty() ? kNothing : rows.row(0).integer(kStep);
  if (step == kNothing || step == kClaimed) {
    claimed = ReadClaimed(rows);
    const std::lock_guard lock(share_mutex_);
    if (!claimed.jobs.empty()) {
      // One lane: its turns change nothing but that lanes without work keep no credit.
      engine::LaneWaits waits;
      waits[static_cast<std::size_t>(claimed.jobs.front().priority)] = Duration(0);
      (void)fair_share_.Next(waits);
    }
    if (static_cast<int>(claimed.jobs.size()) < request.max_jobs) (void)fair_share_.Next({});
  } else {
    MILLRACE_ASSIGN(claimed, ClaimPlanned(request, rows, number));
  }
  claimed.more = claimed.more || static_cast<int>(claimed.jobs.size()) == request.max_jobs;
  NoteClaim(request, claimed, step == kClaimed);
  if (step == kNothing && !rows.empty()) {
    const ResultSet::Row row = rows.row(0);
    std::optional<Duration> due;
    if (!row.is_null(kRunAt)) due = std::max(row.time(kRunAt) - row.time(kCreatedAt), Duration(0));
    NoteNothing(request, seen, due);
  }
  return claimed;
}

void Driver::NoteClaim(const ClaimRequest& request, const Claimed& claimed, bool one_lane) {
  const bool full = static_cast<int>(claimed.jobs.size()) == request.max_jobs;
  bool busy = false;
  {
    const std::lock_guard lock(work_mutex_);
    Waiting& waiting = waiting_[request.worker.incarnation];
    waiting.near.reset();
    waiting.quiet.reset();
    if (full && one_lane && claimed.jobs.size() >= kBusyClaim) {
      const ClaimedJob& last = claimed.jobs.back();
      waiting.near = Near{last.queue, last.priority, last.run_at};
    }
    waiting.full_claims = full ? waiting.full_claims + 1 : 0;
    busy = waiting.idle && waiting.full_claims >= kFullClaims;
    if (busy) waiting.idle = waiting.settled = false;
  }
  if (busy) (void)Run(statements_.not_idle, Params().Int(request.worker.incarnation));
}

void Driver::NoteRace(const WorkerRef& worker, const Plan& plan, std::span<const ClaimedJob> jobs) {
  if (plan.partitioned.empty()) return;
  const std::set<JobId> chosen(plan.order.begin(), plan.order.end());
  const bool all_chosen =
      std::all_of(jobs.begin(), jobs.end(), [&](const ClaimedJob& j) { return chosen.contains(j.id); });
  const std::lock_guard lock(work_mutex_);
  int& spares = waiting_[worker.incarnation].spares;
  if (jobs.size() < plan.order.size()) {
    spares = std::clamp(spares * 2, kFewSpares, kMostSpares);
  } else if (all_chosen) {
    spares /= 2;
  }
}

void Driver::NoteNothing(const ClaimRequest& request, std::uint64_t seen, std::optional<Duration> due) {
  if (request.max_held == 0) return;  // it did not look at all there is
  const std::lock_guard lock(work_mutex_);
  Waiting& waiting = waiting_[request.worker.incarnation];
  waiting.quiet = Sleep{seen, std::min(LookEvery(waiting.idle_workers), due.value_or(Duration::max()))};
}

void Driver::NoteLost(const WorkerRef& worker, std::int64_t claim, const Error& error) {
  // Any other error is the server's answer: nothing was taken.
  if (error.code == ErrorCode::kDatabaseUnavailable || error.code == ErrorCode::kTimeout) Abandon(worker, claim);
}

void Driver::Abandon(const WorkerRef& worker, std::int64_t claim) {
  const std::lock_guard lock(work_mutex_);
  waiting_[worker.incarnation].lost.emplace_back(claim, std::chrono::steady_clock::now());
}

void Driver::ReleaseLost(const WorkerRef& worker) {
  std::vector<std::int64_t> claims;
  {
    const std::lock_guard lock(work_mutex_);
    auto& lost = waiting_[worker.incarnation].lost;
    if (lost.empty()) return;
    const auto past = std::chrono::steady_clock::now() - kClaimEndsWithin;
    std::erase_if(lost, [&](const auto& claim) { return claim.second < past; });
    for (const auto& [number, when] : lost) claims.push_back(number);
  }
  // Should it fail, the next heartbeat tries again.
  if (!claims.empty()) (void)Run(statements_.release_lost, Params().Int(worker.incarnation).Ints(claims));
}

Result<Claimed> Driver::Claim(const ClaimRequest& request) {
  ReleaseLost(request.worker);
  const std::uint64_t seen = WorkSeen();
  const NumberedClaim claim = ClaimParams(request);
  const auto rows = Run(statements_.claim, claim.params);
  if (!rows) {
    NoteLost(request.worker, claim.number, rows.error());
    return fail(rows.error());
  }
  return FinishClaim(request, *rows, seen, claim.number);
}

}  // namespace millrace::storage::postgres
