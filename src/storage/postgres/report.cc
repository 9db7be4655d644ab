// Report: what became of attempts. Which lease is current, the schema's functions decide.
#include <algorithm>
#include <tuple>

#include "base/utf8.h"
#include "engine/retry_policy.h"
#include "engine/validate.h"
#include "storage/postgres/driver_impl.h"

namespace millrace::storage::postgres {
namespace {

constexpr std::int64_t kKeep = -1;  // run_at stays
// So many reports of a busy worker are worth a second connection, on which the next jobs are claimed meanwhile.
constexpr std::size_t kManyReports = 100;

std::int16_t StateAfter(const Report& report) {
  switch (report.verdict) {
    case Verdict::kCompleted:
      return static_cast<std::int16_t>(JobState::kCompleted);
    case Verdict::kRetry:
      return static_cast<std::int16_t>(JobState::kRetryable);
    case Verdict::kDead:
      return static_cast<std::int16_t>(JobState::kDead);
    case Verdict::kSnooze:
      return static_cast<std::int16_t>(JobState::kScheduled);
    case Verdict::kReleased:
      return static_cast<std::int16_t>(JobState::kAvailable);
    case Verdict::kCancelled:
      return static_cast<std::int16_t>(JobState::kCancelled);
  }
  return static_cast<std::int16_t>(JobState::kDead);
}

std::optional<std::string_view> OutcomeOf(const Report& report) {
  if (report.verdict == Verdict::kCancelled) return "cancelled";
  if (report.verdict == Verdict::kDead && report.fatal && !report.timed_out) return "fatal";
  if (report.verdict == Verdict::kDead || report.verdict == Verdict::kRetry)
    return report.timed_out ? "timeout" : "failed";
  return std::nullopt;
}

// Whether the report's text is an error to be kept with the job. A cancel is no failure: without a text of its own it
// leaves the latest one's. A snooze may say why.
bool HasError(const Report& report) {
  return report.verdict == Verdict::kRetry || report.verdict == Verdict::kDead ||
         ((report.verdict == Verdict::kCancelled || report.verdict == Verdict::kSnooze) && !report.text.empty());
}

bool Delays(const Report& report) { return report.verdict == Verdict::kRetry || report.verdict == Verdict::kSnooze; }

// Reports that free nothing a claim could take at once: no partition (see start_jobs for odd tokens), and no job that
// waits again.
bool BesideClaim(std::span<const Report> reports) {
  return reports.size() >= kManyReports && std::all_of(reports.begin(), reports.end(), [](const Report& report) {
           return report.token % 2 == 0 && report.verdict == Verdict::kCompleted && report.emits.empty();
         });
}

// The second report of one attempt in a batch is refused; the database would take either.
std::vector<bool> Repeated(std::span<const Report> reports) {
  std::set<std::tuple<JobId, int, std::int64_t>> seen;
  std::vector<bool> refused;
  for (const Report& report : reports)
    refused.push_back(!seen.insert({report.id, report.attempt, report.token}).second);
  return refused;
}

}  // namespace

// Emits that cannot be enqueued are an error of the whole batch, before anything is written; but what a refused report
// emits is not looked at.
Result<void> Driver::CheckEmits(Connection& connection, const WorkerRef& worker, std::span<const Report> reports,
                                std::vector<bool>& refused) {
  for (std::size_t i = 0; i < reports.size(); ++i) {
    const Report& report = reports[i];
    const auto valid = engine::ValidateNewJobs(report.emits);
    if (valid || refused[i]) continue;
    Params params;
    params.Text(worker.id).Int(worker.incarnation).Int(report.id).Int4(report.attempt).Int(report.token);
    MILLRACE_ASSIGN(const ResultSet rows, connection.Run(statements_.holds_lease, params));
    if (rows.row(0).boolean(0)) return valid;
    refused[i] = true;  // a lease once lost stays lost
  }
  return {};
}

Params Driver::ReportParams(const WorkerRef& worker, std::span<const Report> reports,
                            const std::vector<bool>& refused) {
  std::vector<std::int64_t> ids;
  std::vector<std::int32_t> attempts;
  std::vector<std::int64_t> tokens;
  std::vector<std::int16_t> states;
  std::vector<std::int64_t> delays;
  std::vector<std::int32_t> uncounted;
  std::vector<std::optional<std::string_view>> outcomes;
  std::vector<std::string> texts(reports.size());
  std::vector<std::optional<std::string_view>> errors;
  std::vector<std::optional<std::string_view>> results;
  std::vector<bool> discovered;
  std::vector<std::int32_t> emit_of;
  std::vector<const NewJob*> emits;
  std::vector<std::size_t> firsts;
  for (std::size_t i = 0; i < reports.size(); ++i) {
    const Report& report = reports[i];
    ids.push_back(report.id);
    attempts.push_back(report.attempt);
    tokens.push_back(refused[i] ? -1 : report.token);
    states.push_back(StateAfter(report));
    delays.push_back(Delays(report) ? std::clamp(report.delay, Duration(0), engine::kLongestDelay).count() : kKeep);
    uncounted.push_back(report.verdict == Verdict::kSnooze || report.verdict == Verdict::kReleased ? 1 : 0);
    outcomes.push_back(OutcomeOf(report));
    if (!report.text.empty()) texts[i] = base::ToCleanUtf8(report.text, std::string::npos);
    errors.push_back(HasError(report) ? std::optional<std::string_view>(texts[i]) : std::nullopt);
    const bool has_result = report.verdict == Verdict::kCompleted && !report.text.empty();
    results.push_back(has_result ? std::optional<std::string_view>(texts[i]) : std::nullopt);
    discovered.push_back(report.discovery_done);
    if (refused[i]) continue;
    firsts.resize(firsts.size() + report.emits.size(), firsts.size());
    for (const NewJob& emit : report.emits) {
      emit_of.push_back(static_cast<std::int32_t>(i) + 1);
      emits.push_back(&emit);
    }
  }
  Params params;
  params.Text(worker.id).Int(worker.incarnation).Ints(ids).Int4s(attempts).Ints(tokens).Int2s(states).Ints(delays);
  params.Int4s(uncounted).NullableTexts(outcomes).NullableTexts(errors).NullableTexts(results).Bools(discovered);
  params.Int4s(emit_of);
  AddJobs(params, emits, false);
  AddDependencies(params, emits, firsts);
  return params;
}

Accepted Driver::ReadAccepted(const ResultSet& rows, const std::vector<bool>& refused, Afterwards& after) {
  const std::string_view flags = rows.row(0).text(0);
  Accepted accepted;
  for (std::size_t i = 0; i < refused.size(); ++i)
    accepted.push_back(i < flags.size() && flags[i] == '1' && !refused[i]);
  for (const RunId run : ParseIds(rows.row(0).text(1))) after.runs.push_back(run);
  if (!rows.row(0).is_null(2))
    after.freed.push_back({std::string(rows.row(0).text(2)), std::string(rows.row(0).text(3))});
  return accepted;
}

Result<Accepted> Driver::ReportOn(Connection& connection, const WorkerRef& worker, std::span<const Report> reports,
                                  Afterwards& after) {
  if (reports.empty()) return Accepted();
  std::vector<bool> refused = Repeated(reports);
  MILLRACE_TRY(CheckEmits(connection, worker, reports, refused));
  MILLRACE_ASSIGN(const ResultSet rows, connection.Run(statements_.report, ReportParams(worker, reports, refused)));
  return ReadAccepted(rows, refused, after);
}

// Which reports need not be sent. Takes a connection only if some emit cannot be enqueued.
Result<std::vector<bool>> Driver::Refused(const WorkerRef& worker, std::span<const Report> reports) {
  std::vector<bool> refused = Repeated(reports);
  const bool all_valid = std::all_of(reports.begin(), reports.end(), [](const Report& report) {
    return engine::ValidateNewJobs(report.emits).has_value();
  });
  if (all_valid) return refused;
  MILLRACE_ASSIGN(Pool::Lease connection, pool_.Acquire());
  MILLRACE_TRY(CheckEmits(*connection, worker, reports, refused));
  return refused;
}

Result<Accepted> Driver::ReportOutcomes(const WorkerRef& worker, std::span<const Report> reports) {
  if (reports.empty()) return Accepted();
  MILLRACE_ASSIGN(const std::vector<bool> refused, Refused(worker, reports));
  MILLRACE_ASSIGN(const ResultSet rows, Run(statements_.report, ReportParams(worker, reports, refused)));
  Afterwards after;
  Accepted accepted = ReadAccepted(rows, refused, after);
  FollowUp(after);
  return accepted;
}

// The claim does not see what the reports free, and the reports do not wait for it. A claim whose own error is returned
// nowhere is made again at the next call, which meets the reason if it lasts.
Result<Exchange> Driver::ReportBesideClaim(Pool::Lease reporting, Pool::Lease claiming, const Params& report,
                                           const std::vector<bool>& refused, const ClaimRequest& request) {
  ReleaseLost(request.worker);
  const NumberedClaim claim = ClaimParams(request);
  const std::uint64_t seen = WorkSeen();
  const Call report_call{&statements_.report, &report}, claim_call{&statements_.claim, &claim.params};
  MILLRACE_TRY(reporting->Send({&report_call, 1}));
  const auto claimed = claiming->Pipeline({&claim_call, 1});
  if (!claimed) NoteLost(request.worker, claim.number, claimed.error());
  auto reported = reporting->Receive({&report_call, 1});
  reporting.Return();
  claiming.Return();
  if (!reported && IsRetryable(reported.error())) reported = RunTogether({&report_call, 1});
  if (!reported) {
    if (claimed) Abandon(request.worker, claim.number);
    return fail(reported.error());
  }
  Exchange exchange;
  Afterwards after;
  exchange.accepted = ReadAccepted(reported->front(), refused, after);
  FollowUp(after);
  if (claimed) {
    MILLRACE_ASSIGN(exchange.claimed, FinishClaim(request, claimed->front(), seen, claim.number));
  }
  return exchange;
}

Result<Exchange> Driver::ReportAndClaim(std::span<const Report> reports, const ClaimRequest& request) {
  Exchange exchange;
  if (request.max_jobs <= 0 || reports.empty()) {
    MILLRACE_ASSIGN(exchange.accepted, ReportOutcomes(request.worker, reports));
    if (request.max_jobs > 0) {
      MILLRACE_ASSIGN(exchange.claimed, Claim(request));
    }
    return exchange;
  }
  MILLRACE_ASSIGN(const std::vector<bool> refused, Refused(request.worker, reports));
  const Params report = ReportParams(request.worker, reports, refused);
  if (BesideClaim(reports) && IsBusy(request.worker)) {
    MILLRACE_ASSIGN(Pool::Lease first, pool_.Acquire());
    if (auto second = pool_.TryAcquire()) {
      return ReportBesideClaim(std::move(first), std::move(*second), report, refused, request);
    }
  }
  ReleaseLost(request.worker);
  const NumberedClaim claim = ClaimParams(request);
  const std::uint64_t seen = WorkSeen();
  const std::array<Call, 2> calls = {Call{&statements_.report, &report}, Call{&statements_.claim, &claim.params}};
  const auto answers = RunTogether(calls);
  if (!answers) {
    NoteLost(request.worker, claim.number, answers.error());
    return fail(answers.error());
  }
  const std::vector<ResultSet>& results = *answers;
  Afterwards after;
  exchange.accepted = ReadAccepted(results[0], refused, after);
  FollowUp(after);  // first: the reports stand, whatever becomes of the claim
  MILLRACE_ASSIGN(exchange.claimed, FinishClaim(request, results[1], seen, claim.number));
  return exchange;
}

}  // namespace millrace::storage::postgres
