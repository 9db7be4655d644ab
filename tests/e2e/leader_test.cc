// The leader of a run killed with SIGKILL, ten times in its discovery and ten times in its final stage: the real
// program on a private PostgreSQL. Each kill waits until the leader stands at a place the test holds it at in the
// database: in the middle of emitting what it found, before the final stage's writes, or in its commit.
#include <gtest/gtest.h>

#include <csignal>
#include <map>
#include <memory>
#include <optional>
#include <thread>

#include "pipelines/documents/pipeline.h"
#include "pipelines/documents/sources/file_source.h"
#include "storage/postgres/connection.h"
#include "storage/postgres/test_cluster.h"
#include "support/program.h"

namespace millrace::tests {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using storage::postgres::Connection;
using storage::postgres::Params;
using storage::postgres::Query;
using storage::postgres::TestCluster;

constexpr int kKills = 10;               // in each stage
constexpr int kChunk = 256;              // files that discovery emits at once
constexpr int kFiles = 5 * kChunk + 20;  // every second kill lets the chunk under way be emitted all the same
constexpr int kMembers = 3;
constexpr auto kPatience = seconds(60);

// What the final stage does once it has done: a row for each report that was committed. And where it is held: the two
// locks are the test's, and `stop_at` says which of them a report waits for. (A document that was parsed again leaves a
// row without a time there before.)
constexpr const char* kWitness = R"(
  CREATE TABLE public.witness (run_id bigint NOT NULL);
  CREATE TABLE public.gate (stop_at text NOT NULL);
  INSERT INTO public.gate VALUES ('write');
  CREATE FUNCTION public.before_write() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF (SELECT stop_at FROM public.gate) = 'write' THEN PERFORM pg_advisory_xact_lock_shared(77); END IF;
    INSERT INTO public.witness VALUES (NEW.run_id);
    RETURN NULL;
  END $$;
  CREATE FUNCTION public.in_commit() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF (SELECT stop_at FROM public.gate) = 'commit' THEN PERFORM pg_advisory_xact_lock_shared(78); END IF;
    RETURN NULL;
  END $$;
  CREATE TRIGGER before_write AFTER INSERT OR UPDATE ON millrace.document_report
    FOR EACH ROW WHEN (NEW.created_at <> 0) EXECUTE FUNCTION public.before_write();
  CREATE CONSTRAINT TRIGGER in_commit AFTER INSERT OR UPDATE ON millrace.document_report
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.created_at <> 0) EXECUTE FUNCTION public.in_commit();
)";

// What has to succeed; otherwise the test ends with the error's message.
void Must(const Result<void>& done) {
  if (!done) throw std::runtime_error(done.error().message);
}

class Leader : public ::testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = TestCluster::SkipReason(); !reason.empty()) GTEST_SKIP() << reason;
    url_ = TestCluster::Get().CreateDatabase();
    WriteFile(folder_ / "m.yaml",
              "work_queue: {heartbeat_interval: 400ms, stale_threshold: 1500ms}\nworker: {concurrency: 2}\n");
    for (int i = 0; i < kFiles; ++i) WriteFile(folder_.path() / "in" / Name(i), "Title\nwords of " + Name(i) + "\n");
    const Ended migrated = RunMillrace(folder_.path(), {"migrate", "up", "--db", url_});
    ASSERT_EQ(migrated.code, 0) << Describe(migrated);
    observer_ = Open();
    Must(observer_->Script(kWitness));
  }

  static std::string Name(int i) { return "f" + std::to_string(10'000 + i) + ".txt"; }

  std::unique_ptr<Connection> Open() const {
    storage::postgres::ConnectOptions options;
    options.url = url_;
    return Connection::Open(options).value();
  }
  std::int64_t Number(const std::string& sql) const {
    const auto rows = observer_->Run(Query{"test", sql}, Params());
    if (!rows) throw std::runtime_error(rows.error().message);
    return rows->row(0).integer(0);
  }

  // ---- The fleet: two identical `run`s and a `worker`, each started again when it was killed.

  Start MemberStart(int member, const std::string& id) const {
    std::vector<std::string> args = {"worker"};
    if (member > 0) args = {"run", "documents", (folder_ / "in").string(), "--json"};
    args.insert(args.end(), {"--db", url_, "--config", (folder_ / "m.yaml").string()});
    Start start = Millrace(folder_.path(), args);
    start.env["WORKER_ID"] = id;
    return start;
  }
  void StartMember(int member) {
    const std::string id = "member" + std::to_string(member) + "-" + std::to_string(++started_);
    ids_[member] = id;
    members_[member] = std::make_unique<Child>(MemberStart(member, id));
  }
  std::optional<int> MemberNamed(const std::string& id) const {
    for (const auto& [member, its_id] : ids_) {
      if (its_id == id) return member;
    }
    return std::nullopt;
  }

  // ---- Signals

  // Polls, since neither a lock that is waited for nor a row says when it changes.
  static void WaitFor(const std::string& what, const std::function<bool()>& seen) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (!seen()) {
      if (std::chrono::steady_clock::now() > until) throw std::runtime_error("waited in vain for: " + what);
      std::this_thread::sleep_for(milliseconds(5));
    }
  }
  // The server process that waits for a lock of `holder`.
  int BlockedBy(const Connection& holder, const std::string& what) const {
    int pid = 0;
    WaitFor(what, [&] {
      pid = static_cast<int>(Number("SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE " +
                                    std::to_string(holder.backend_pid()) + " = ANY (pg_blocking_pids(pid))"));
      return pid != 0;
    });
    return pid;
  }
  base::json::object ShowRun() const {
    return MustJson(folder_.path(), {"runs", "show", std::to_string(run_), "--db", url_}).as_object();
  }

  // Kills the worker that leads the run and starts its like.
  void KillLeader(bool in_final) {
    const base::json::object run = ShowRun();
    ASSERT_EQ(run.at("state").as_string(), "active") << "the run was over before its leader was killed often enough";
    ASSERT_EQ(run.at("discovery_done").as_bool(), in_final);
    ASSERT_TRUE(run.at("leader").is_string()) << base::ToJson(run);
    const std::string leader(run.at("leader").as_string());
    const std::int64_t epoch = run.at("epoch").as_int64();
    EXPECT_GT(epoch, last_epoch_) << "each leader has an epoch of its own";
    last_epoch_ = epoch;
    const std::optional<int> member = MemberNamed(leader);
    ASSERT_TRUE(member) << leader << " leads, which was killed";
    maintenance_killed_ +=
        Number(
            "SELECT count(*) FROM millrace.leader AS l JOIN millrace.worker AS w USING (incarnation) "
            "WHERE l.expires_at > millrace.clock() AND w.id = '" +
            leader + "'") > 0;
    members_.at(*member)->Kill(SIGKILL);
    ASSERT_TRUE(members_.at(*member)->WaitForExit(seconds(20)));
    StartMember(*member);
  }
  // As when the server finds that the client is gone, before what it was at could go on.
  void EndServerProcess(int pid) const {
    EXPECT_EQ(Number("SELECT pg_terminate_backend(" + std::to_string(pid) + ", 20000)::int::bigint"), 1);
  }

  // ---- The two stages

  // Holds the unique key of one document's job, so that discovery stands still when it comes to emit it.
  std::unique_ptr<Connection> HoldDocument(int file) const {
    auto holder = Open();
    const std::string source = documents::FileSourceOf((folder_ / "in").string()).value().name;
    const NewJob job = documents::ParseJob(run_, source, Name(file));
    Must(holder->Begin());
    const auto held = holder->Run(
        Query{"hold",
              "INSERT INTO millrace.job (id, run_at, created_at, timeout, max_attempts, max_crashes, priority, "
              "state, queue, kind, args, unique_key) VALUES ($2, now(), now(), 0, 1, 1, 2, 0, 'q', 'k', '{}', $1)"},
        Params().Text(job.unique_key).Int(-1 - file));
    if (!held) throw std::runtime_error(held.error().message);
    return holder;
  }

  void KillInDiscovery() {
    auto holder = HoldDocument(0);
    for (int member = 0; member < kMembers; ++member) StartMember(member);
    WaitFor("the run", [&] { return Number("SELECT count(*) FROM millrace.run") > 0; });
    for (int kill = 0; kill < kKills; ++kill) {
      const int pid = BlockedBy(*holder, "discovery, kill " + std::to_string(kill));
      std::unique_ptr<Connection> next;
      // Before this one is let go, so that the next leader cannot pass it.
      if (kill + 1 < kKills && kill % 2 == 1) next = HoldDocument((kill + 1) / 2 * kChunk);
      KillLeader(false);
      if (HasFatalFailure()) return;
      // In turns: what the dead leader had asked for is undone, or is done after its death.
      if (kill % 2 == 0) {
        EndServerProcess(pid);
      } else {
        Must(holder->Rollback());
        holder = std::move(next);
      }
    }
  }

  // `write` and `commit` hold the locks of those names for as long as they live.
  void KillInFinalStage() {
    const auto write = Open();
    Must(write->Script("SELECT pg_advisory_lock(77)"));
    const auto commit = Open();
    Must(commit->Script("SELECT pg_advisory_lock(78)"));
    KillInDiscovery();
    if (HasFatalFailure()) return;
    for (int kill = 0; kill < kKills; ++kill) {
      const int pid = BlockedBy(kill % 2 == 0 ? *write : *commit, "the final stage, kill " + std::to_string(kill));
      EXPECT_EQ(Number("SELECT count(*) FROM public.witness"), 0) << "nothing is committed yet";
      Must(observer_->Script(std::string("UPDATE public.gate SET stop_at = '") +
                             (kill % 2 == 0 ? "commit'" : "write'")));
      KillLeader(true);
      if (HasFatalFailure()) return;
      EndServerProcess(pid);
    }
    // The next one may do it.
    Must(observer_->Script("UPDATE public.gate SET stop_at = 'nowhere'"));
    Must(write->Script("SELECT pg_advisory_unlock(77)"));
  }

  TempDir folder_;
  std::string url_;
  std::unique_ptr<Connection> observer_;
  std::map<int, std::unique_ptr<Child>> members_;
  std::map<int, std::string> ids_;
  int started_ = 0;
  std::int64_t run_ = 1;
  std::int64_t last_epoch_ = 0;
  int maintenance_killed_ = 0;
};

TEST_F(Leader, KilledInDiscoveryAndInTheFinalStageItIsFollowedAndTheEffectHappensOnce) {
  KillInFinalStage();
  if (HasFatalFailure()) return;
  std::fprintf(stderr, "%d kills, %d of them of the leader of maintenance as well\n", 2 * kKills, maintenance_killed_);
  for (int member = 1; member < kMembers; ++member) {
    const Ended ended = members_.at(member)->Wait(kPatience);
    EXPECT_EQ(ended.code, 0) << Describe(ended);
    const auto report = Json(ended);
    EXPECT_EQ(report.at("run_id").as_int64(), run_) << "every start joined the active run";
    EXPECT_EQ(report.at("generation").as_int64(), 1);
    EXPECT_EQ(report.at("documents").as_int64(), kFiles);
  }
  const base::json::object run = ShowRun();
  EXPECT_EQ(run.at("state").as_string(), "completed");
  EXPECT_TRUE(run.at("leader").is_null());
  const auto& counts = run.at("counts").as_object();
  EXPECT_EQ(counts.at("completed").to_number<std::int64_t>(), kFiles + 2) << "each document, discovery and report once";
  EXPECT_EQ(counts.at("dead").to_number<std::int64_t>(), 0);
  EXPECT_EQ(Number("SELECT count(*) FROM public.witness"), 1) << "the final stage's effect";
  EXPECT_EQ(Number("SELECT count(*) FROM millrace.run"), 1);
  for (const std::string kind : {"documents.discover", "documents.report"}) {
    EXPECT_GE(Number("SELECT max(crashes) FROM millrace.job_history WHERE kind = '" + kind + "'"), kKills) << kind;
    EXPECT_EQ(Number("SELECT count(*) FROM millrace.job_history WHERE kind = '" + kind + "'"), 1) << kind;
  }
  EXPECT_EQ(Number("SELECT count(*) FROM millrace.job_history WHERE kind = 'documents.parse'"), kFiles)
      << "no file was emitted twice";

  const auto again = MustJson(folder_.path(), {"run", "documents", (folder_ / "in").string(), "--db", url_});
  EXPECT_EQ(again.at("generation").as_int64(), 2);
  EXPECT_EQ(again.at("run").at("unchanged").as_int64(), kFiles);
  EXPECT_EQ(Number("SELECT count(*) FROM public.witness"), 2);
  EXPECT_EQ(Number("SELECT count(*) FROM millrace.job_history WHERE kind = 'documents.parse'"), kFiles);
}

// A leader that leaves in order has resigned when it is gone: the next one need not wait for its time to be up.
TEST_F(Leader, OneThatStopsHandsMaintenanceOn) {
  WriteFile(folder_ / "m.yaml", "work_queue: {heartbeat_interval: 3s, stale_threshold: 30s}\n");
  StartMember(0);
  const auto leader = [&] {
    const base::json::value answer = MustJson(folder_.path(), {"workers", "--db", url_});
    for (const auto& worker : answer.at("workers").as_array()) {
      if (!worker.at("leads").as_array().empty()) return std::string(worker.at("id").as_string());
    }
    return std::string();
  };
  WaitFor("a leader", [&] { return leader() == ids_.at(0); });
  const std::string first = ids_.at(0);
  members_[1] = std::make_unique<Child>(MemberStart(0, "second"));
  WaitFor("the second worker", [&] { return Number("SELECT count(*) FROM millrace.worker WHERE id = 'second'") == 1; });
  EXPECT_EQ(leader(), first);
  members_.at(0)->Kill(SIGTERM);
  EXPECT_EQ(members_.at(0)->Wait(seconds(30)).code, 0);
  EXPECT_EQ(Number("SELECT count(*) FROM millrace.leader WHERE epoch = 1 AND expires_at > millrace.clock()"), 0);
  WaitFor("the second to lead", [&] { return leader() == "second"; });
  EXPECT_EQ(Number("SELECT epoch FROM millrace.leader WHERE scope = 'maintenance'"), 2);
}

}  // namespace
}  // namespace millrace::tests
