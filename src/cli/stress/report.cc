#include "cli/stress/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/output.h"

namespace millrace::cli::stress {
namespace {

constexpr std::size_t kMostIds = 20;  // printed of each kind to people; JSON has all

double Median(const std::vector<double>& sorted) { return sorted.empty() ? 0 : sorted[sorted.size() / 2]; }

base::json::array Ids(const std::vector<std::int64_t>& ids) { return base::json::array(ids.begin(), ids.end()); }

base::json::array PairsJson(const std::vector<Pair>& pairs) {
  base::json::array array;
  for (const auto& [first, second] : pairs) array.push_back(base::json::array{first, second});
  return array;
}

// Those that were not refused are in the books.
std::int64_t Tried(const Findings& findings) {
  return findings.refused + static_cast<std::int64_t>(findings.account.late.size());
}

std::string ShownIds(const std::vector<std::int64_t>& ids) {
  const std::size_t shown = std::min(ids.size(), kMostIds);
  std::string text;
  for (std::size_t i = 0; i < shown; ++i) text += fmt::format("{}{}", i > 0 ? " " : "", ids[i]);
  return ids.size() > shown ? text + " ..." : text;
}

std::string Recovered(const FaultReport& report) {
  if (report.recovered.empty()) return "-";
  return fmt::format("{:.2f} s / {:.2f} s", Median(report.recovered), report.recovered.back());
}

void PrintFaults(const Findings& findings) {
  for (const std::string& failure : findings.failed_faults) PrintWarning(failure);
  if (findings.faults.empty()) return;
  Table table({"fault", "times", "back to full rate: median / worst", "not before the next"});
  table.AlignRight({1, 3});
  for (const auto& [fault, report] : findings.faults) {
    table.Add(
        {std::string(FaultName(fault)), Grouped(report.injected), Recovered(report), Grouped(report.not_recovered)});
  }
  table.Print();
  if (findings.most_idle_connections > 0)
    Print(fmt::format("idle connections that filled the server: {}\n", findings.most_idle_connections));
}

}  // namespace

void ProgressLine::Show(const Progress& progress) {
  if (!shown_) return;
  fmt::print(stderr, "\r\033[K{:5.0f}s  {}  {} finished, {} open, {}/s, {} faults", progress.seconds,
             progress.draining ? "working off" : "under load", Grouped(progress.standing.finished),
             Grouped(progress.standing.open), Grouped(static_cast<std::int64_t>(progress.rate)), progress.faults);
  std::fflush(stderr);
  drawn_ = true;
}

void ProgressLine::Clear() {
  if (drawn_) fmt::print(stderr, "\r\033[K");
  drawn_ = false;
}

base::json::object ToJson(const Options& options, const Findings& findings) {
  const Account& account = findings.account;
  base::json::object attempts;
  for (const auto& [outcome, count] : account.attempts) attempts[outcome] = count;
  base::json::array missed;
  for (const Fault fault : findings.missed_faults) missed.emplace_back(FaultName(fault));
  base::json::object faults;
  for (const auto& [fault, report] : findings.faults) {
    faults[FaultName(fault)] = {{"injected", report.injected},
                                {"recovered", report.recovered.size()},
                                {"not_recovered", report.not_recovered},
                                {"recovery_median_seconds", Median(report.recovered)},
                                {"recovery_worst_seconds", report.recovered.empty() ? 0 : report.recovered.back()}};
  }
  return {{"exact", account.exact()},
          {"seed", options.seed},
          {"enqueued", account.enqueued},
          {"emitted", account.children},
          {"completed", account.completed},
          {"dead", account.dead},
          {"lost", Ids(account.lost)},
          {"vanished", Ids(account.vanished)},
          {"duplicates", Ids(account.duplicates)},
          {"unwitnessed", Ids(account.unwitnessed)},
          {"misjudged", Ids(account.misjudged)},
          {"unexplained", Ids(account.unexplained)},
          {"late", Ids(account.late)},
          {"overlaps", PairsJson(account.overlaps)},
          {"falling_tokens", PairsJson(account.falling_tokens)},
          {"broken_unique", Ids(account.broken_unique)},
          {"most_at_once", account.most_at_once},
          {"over_concurrency", account.over_concurrency},
          {"over_rate", account.over_rate},
          {"attempts", std::move(attempts)},
          {"late_writes", {{"tried", Tried(findings)}, {"refused", findings.refused}}},
          {"faults", std::move(faults)},
          {"failed_faults", base::json::array(findings.failed_faults.begin(), findings.failed_faults.end())},
          {"missed_faults", std::move(missed)},
          {"most_idle_connections", findings.most_idle_connections},
          {"full_jobs_per_second", findings.full_rate},
          {"jobs_per_second", findings.rate},
          {"load_seconds", findings.load_seconds},
          {"drain_seconds", findings.drain_seconds},
          {"interrupted", findings.interrupted}};
}

void PrintFindings(const Options& options, const Findings& findings) {
  const Account& account = findings.account;
  Table table({"account", "jobs", "ids"});
  table.AlignRight({1});
  const auto count = [](std::size_t n) { return Grouped(static_cast<std::int64_t>(n)); };
  table.Add({"enqueued", Grouped(account.enqueued), ""});
  table.Add({"emitted by them", Grouped(account.children), ""});
  table.Add({"completed", Grouped(account.completed), ""});
  table.Add({"dead, as they should be", Grouped(account.dead), ""});
  table.Add({"lost", count(account.lost.size()), ShownIds(account.lost)});
  table.Add({"acknowledged, then not there", count(account.vanished.size()),
             account.vanished.empty() ? "" : "orders " + ShownIds(account.vanished)});
  table.Add({"counted or done twice", count(account.duplicates.size()), ShownIds(account.duplicates)});
  table.Add({"finished but not done", count(account.unwitnessed.size()), ShownIds(account.unwitnessed)});
  table.Add({"in a wrong state", count(account.misjudged.size()), ShownIds(account.misjudged)});
  table.Add({"attempts unexplained", count(account.unexplained.size()), ShownIds(account.unexplained)});
  table.Add({"written without a lease", count(account.late.size()), ShownIds(account.late)});
  table.Add({"two in one partition", count(account.overlaps.size()), ""});
  table.Add({"lease token fell", count(account.falling_tokens.size()), ""});
  table.Add({"unique key not held", count(account.broken_unique.size()), ""});
  if (options.queue_concurrency) {
    table.Add({"at once at most", Grouped(account.most_at_once), ""});
    table.Add({"beyond the queue's concurrency", Grouped(account.over_concurrency), ""});
  }
  if (options.queue_rate) table.Add({"beyond the queue's rate", Grouped(account.over_rate), ""});
  for (const auto& [outcome, number] : account.attempts) table.Add({"attempts " + outcome, Grouped(number), ""});
  table.Add({"late writes tried", Grouped(Tried(findings)), ""});
  table.Add({"late writes refused", Grouped(findings.refused), ""});
  table.Print();
  Print("\n");
  PrintFaults(findings);
  Print(fmt::format(
      "\n{} jobs/s before the first fault, {} over all; {:.0f} s of load, {:.1f} s to work off the rest; "
      "--seed {}\n",
      Grouped(static_cast<std::int64_t>(findings.full_rate)), Grouped(static_cast<std::int64_t>(findings.rate)),
      findings.load_seconds, findings.drain_seconds, options.seed));
  if (findings.interrupted) Print("interrupted: the load ended early\n");
}

}  // namespace millrace::cli::stress
