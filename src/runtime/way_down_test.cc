// Operations and cleanup tasks, through the public API: on SQLite, with real threads.
#include "runtime/way_down.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <thread>

#include "base/log.h"
#include "base/test_dir.h"
#include "millrace/worker.h"

namespace millrace {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using Phase = ShutdownStatus::Phase;
using TaskState = ShutdownStatus::TaskState;

class WayDownTest : public ::testing::Test {
 protected:
  WayDownTest() {
    base::ConfigureLog({base::Level::kOff, false});
    StorageOptions options;
    options.url = dir_.file("test.db");
    client_.emplace(Client::open(options).value());
    options_.concurrency = 1;
    options_.heartbeat_interval = milliseconds(20);
    options_.shutdown_timeout = seconds(60);
  }
  ~WayDownTest() override {
    if (runs_.joinable()) runs_.join();
    base::ConfigureLog({});
  }

  void Start() {
    worker_.emplace(*client_, options_);
    status_ = worker_->shutdown_status();
    worker_->handle_raw("begun", [this](Context&) {
      begun_.set_value();
      return Outcome::done();
    });
  }
  // Runs the worker until it works.
  void Run() {
    runs_ = std::thread([this] { exit_ = worker_->run().value(); });
    NewJob job;
    job.kind = "begun";
    ASSERT_TRUE(client_->enqueue(job));
    begun_.get_future().wait();
  }
  // 0 or 3, once it has returned.
  int Exit() {
    runs_.join();
    return exit_;
  }
  void WaitForPhase(Phase phase) {
    const auto end = std::chrono::steady_clock::now() + seconds(60);
    while (status_().phase != phase && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    ASSERT_EQ(status_().phase, phase);
  }
  void Did(const std::string& what) {
    const std::lock_guard lock(mutex_);
    did_.push_back(what);
  }

  base::TestDir dir_;
  std::optional<Client> client_;
  WorkerOptions options_;
  std::optional<Worker> worker_;
  std::function<ShutdownStatus()> status_;
  std::promise<void> begun_;
  std::thread runs_;
  int exit_ = -1;
  std::mutex mutex_;
  std::vector<std::string> did_;
};

// Until `stop` stops.
void WaitForStop(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait(lock, stop, [] { return false; });
}

TEST_F(WayDownTest, AnOperationIsWaitedForAndNoneStartsAnyMore) {
  Start();
  worker_->on_shutdown("close", [this](const std::stop_token&) { Did("closed"); });
  std::optional<Operation> answering = worker_->operation("answering");
  ASSERT_TRUE(answering);
  Run();
  EXPECT_EQ(status_().phase, Phase::kRunning);
  worker_->stop();
  WaitForPhase(Phase::kDraining);
  EXPECT_FALSE(worker_->operation("late"));
  const ShutdownStatus draining = status_();
  EXPECT_THAT(draining.operations, ElementsAre("answering"));
  EXPECT_EQ(draining.timeout, seconds(60));
  EXPECT_FALSE(answering->stop_token().stop_requested());
  Did("answered");
  answering.reset();
  EXPECT_EQ(Exit(), 0);
  EXPECT_THAT(did_, ElementsAre("answered", "closed"));
  EXPECT_EQ(status_().phase, Phase::kStopped);
  EXPECT_GT(status_().elapsed, Duration(0));
}

TEST_F(WayDownTest, AnOperationThatHeedsItsStopTokenEndsInTime) {
  options_.shutdown_timeout = milliseconds(200);
  Start();
  std::optional<Operation> operation = worker_->operation("long");
  std::thread works([&] {
    WaitForStop(operation->stop_token());
    operation.reset();
  });
  Run();
  worker_->stop();
  works.join();
  Exit();
  EXPECT_THAT(status_().operations, ElementsAre());
}

TEST_F(WayDownTest, AnOperationThatDoesNotEndIsLeftBehind) {
  options_.shutdown_timeout = milliseconds(200);
  Start();
  std::optional<Operation> operation = worker_->operation("stuck");
  Run();
  worker_->stop();
  EXPECT_EQ(Exit(), 3) << "as with a job that had to be released";
  worker_.reset();
  operation.reset();  // it may outlive the worker
}

TEST_F(WayDownTest, TasksRunInReverseAfterTheLastHandlerAndAFailureStopsNone) {
  Start();
  options_.max_jobs = 1;
  worker_->on_shutdown("first", [this](const std::stop_token&) { Did("first"); });
  worker_->on_shutdown("throws", [](const std::stop_token&) { throw std::runtime_error("broken"); });
  worker_->on_shutdown("last", [this](const std::stop_token&) { Did("last"); });
  worker_->handle_raw("slow", [this](Context&) {
    begun_.set_value();
    WaitForPhase(Phase::kDraining);
    const auto end = std::chrono::steady_clock::now() + seconds(60);
    while (status_().running_jobs != 1 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    EXPECT_EQ(status_().running_jobs, 1);
    Did("handler");
    return Outcome::done();
  });
  NewJob job;
  job.kind = "slow";
  const JobId id = client_->enqueue(job).value().id;
  runs_ = std::thread([this] { exit_ = worker_->run().value(); });
  begun_.get_future().wait();
  worker_->stop();
  EXPECT_EQ(Exit(), 0);
  EXPECT_THAT(did_, ElementsAre("handler", "last", "first"));
  const ShutdownStatus status = status_();
  ASSERT_EQ(status.cleanup_tasks.size(), 3U);
  EXPECT_EQ(status.cleanup_tasks[0].name, "last");
  EXPECT_EQ(status.cleanup_tasks[0].state, TaskState::kDone);
  EXPECT_EQ(status.cleanup_tasks[1].state, TaskState::kFailed);
  EXPECT_EQ(status.cleanup_tasks[2].state, TaskState::kDone);
  EXPECT_EQ(client_->get(id).value().state, JobState::kCompleted) << "reported before the tasks ran";
}

TEST_F(WayDownTest, ATaskSeesTheOutcomesOfHandlersWritten) {
  Start();
  JobState seen = JobState::kRunning;
  JobId id = 0;
  worker_->on_shutdown("looks", [&](const std::stop_token&) { seen = client_->get(id).value().state; });
  worker_->handle_raw("one", [this](Context&) {
    worker_->stop();
    return Outcome::done();
  });
  NewJob job;
  job.kind = "one";
  id = client_->enqueue(job).value().id;
  runs_ = std::thread([this] { exit_ = worker_->run().value(); });
  EXPECT_EQ(Exit(), 0);
  EXPECT_EQ(seen, JobState::kCompleted);
}

TEST_F(WayDownTest, ATaskPastItsLimitIsToldAndThenLeftBehind) {
  Start();
  std::promise<void> end;
  const auto end_future = std::make_shared<std::future<void>>(end.get_future());
  worker_->on_shutdown(
      "deaf", [end_future](const std::stop_token&) { end_future->wait(); }, milliseconds(10));
  worker_->on_shutdown(
      "heeds", [](const std::stop_token& stop) { WaitForStop(stop); }, milliseconds(10));
  Run();
  worker_->stop();
  EXPECT_EQ(Exit(), 0);
  const ShutdownStatus status = status_();
  ASSERT_EQ(status.cleanup_tasks.size(), 2U);
  EXPECT_EQ(status.cleanup_tasks[0].state, TaskState::kDone);
  EXPECT_EQ(status.cleanup_tasks[1].state, TaskState::kTimedOut);
  end.set_value();
}

TEST_F(WayDownTest, ASecondStopHurriesTheTasks) {
  Start();
  std::promise<void> began;
  worker_->on_shutdown(
      "long",
      [&](const std::stop_token& stop) {
        began.set_value();
        WaitForStop(stop);
      },
      hours(1));
  Run();
  worker_->stop();
  began.get_future().wait();
  EXPECT_EQ(status_().phase, Phase::kCleaningUp);
  worker_->stop();
  EXPECT_EQ(Exit(), 0) << "within seconds, not an hour";
}

// As when a worker cannot be registered.
TEST_F(WayDownTest, TasksRunOnceThoughNothingEverBegan) {
  runtime::WayDown way_down(seconds(1));
  runtime::ShutdownRequest request;
  way_down.AddTask(
      "close", [this](const std::stop_token&) { Did("closed"); }, seconds(5));
  way_down.Cleanup(request);
  way_down.Cleanup(request);
  EXPECT_THAT(did_, ElementsAre("closed"));
  EXPECT_FALSE(way_down.Start("late"));
  EXPECT_EQ(way_down.status().elapsed, Duration(0));
}

}  // namespace
}  // namespace millrace
