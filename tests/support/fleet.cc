#include "support/fleet.h"

#include <algorithm>
#include <cstdio>

#include "storage/postgres/test_cluster.h"

namespace millrace::tests {

using storage::postgres::TestCluster;

void FleetTest::SetUp() {
  if (auto reason = TestCluster::SkipReason(); !reason.empty()) GTEST_SKIP() << reason;
  url_ = TestCluster::Get().CreateDatabase();
  const Ended migrated = RunMillrace(folder_.path(), {"migrate", "up", "--db", url_});
  ASSERT_EQ(migrated.code, 0) << Describe(migrated);
}

base::json::object FleetTest::Stress(std::vector<std::string> args, const std::function<void(Child&)>& meanwhile) {
  args.insert(args.begin(), {"stress", "--json"});
  if (std::find(args.begin(), args.end(), "--db") == args.end()) args.insert(args.end(), {"--db", url_});
  Start start = Millrace(folder_.path(), args);
  start.argv.insert(start.argv.begin(), through_.begin(), through_.end());
  Child child(start);
  if (meanwhile) meanwhile(child);
  const Ended ended = child.Wait(std::chrono::seconds(900));
  EXPECT_EQ(ended.code, 0) << Describe(ended);
  std::fprintf(stderr, "%s\n", ended.out.c_str());
  auto account = base::ParseJson(ended.out);
  if (!account || !account->is_object()) return {};
  EXPECT_GT(account->at("completed").to_number<std::int64_t>(), 0);
  return std::move(account->get_object());
}

std::int64_t FleetTest::Injected(const base::json::object& account, std::string_view fault) {
  const auto* faults = account.if_contains("faults");
  const auto* found = faults == nullptr ? nullptr : faults->get_object().if_contains(fault);
  return found == nullptr ? 0 : found->at("injected").to_number<std::int64_t>();
}

std::int64_t FleetTest::Recovered(const base::json::object& account, std::string_view fault) {
  const auto* faults = account.if_contains("faults");
  const auto* found = faults == nullptr ? nullptr : faults->get_object().if_contains(fault);
  return found == nullptr ? 0 : found->at("recovered").to_number<std::int64_t>();
}

std::int64_t FleetTest::LateWrites(const base::json::object& account, std::string_view what) {
  const auto* writes = account.if_contains("late_writes");
  return writes == nullptr ? -1 : writes->at(what).to_number<std::int64_t>();
}

std::int64_t FleetTest::Attempts(const base::json::object& account, std::string_view outcome) {
  const auto* attempts = account.if_contains("attempts");
  const auto* found = attempts == nullptr ? nullptr : attempts->get_object().if_contains(outcome);
  return found == nullptr ? 0 : found->to_number<std::int64_t>();
}

}  // namespace millrace::tests
