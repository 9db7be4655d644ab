#include "runtime/way_down.h"

#include <algorithm>
#include <exception>
#include <list>
#include <thread>

#include "base/log.h"
#include "base/thread_name.h"

namespace millrace {

// The operations under way; each knows its place.
struct runtime::WayDown::Shared {
  struct Entry {
    std::string name;
    std::stop_source stop;
  };
  std::mutex mutex;
  std::list<Entry> entries;
  bool closed = false;
  std::function<void()> ended;
};

struct Operation::Impl {
  Impl(std::shared_ptr<runtime::WayDown::Shared> of, std::list<runtime::WayDown::Shared::Entry>::iterator at)
      : shared(std::move(of)), entry(at) {}
  ~Impl() {
    const std::lock_guard lock(shared->mutex);
    shared->entries.erase(entry);
    if (shared->ended) shared->ended();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  std::shared_ptr<runtime::WayDown::Shared> shared;
  std::list<runtime::WayDown::Shared::Entry>::iterator entry;
};

std::stop_token Operation::stop_token() const { return impl_->entry->stop.get_token(); }

namespace runtime {
namespace {

using TaskState = ShutdownStatus::TaskState;

// For a task to heed its stop token, and for each task when there is a hurry.
constexpr Duration kLastMoment = std::chrono::seconds(1);

}  // namespace

struct WayDown::Task {
  std::string name;
  std::function<void(std::stop_token)> function;
  Duration limit;
  std::stop_source stop;
  std::mutex mutex;
  std::condition_variable changed;
  TaskState state = TaskState::kPending;
  bool hurry = false;

  void Run() {
    TaskState ended = TaskState::kDone;
    try {
      function(stop.get_token());
    } catch (const std::exception& thrown) {
      base::Log(base::Level::kError, "Cleanup task failed", {{"task", name}, {"error", thrown.what()}});
      ended = TaskState::kFailed;
    } catch (...) {
      base::Log(base::Level::kError, "Cleanup task failed", {{"task", name}});
      ended = TaskState::kFailed;
    }
    const std::lock_guard lock(mutex);
    if (state == TaskState::kRunning) state = ended;
    changed.notify_all();
  }
};

WayDown::WayDown(Duration timeout) : timeout_(timeout), shared_(std::make_shared<Shared>()) {}

std::optional<Operation> WayDown::Start(std::string name) {
  const std::lock_guard lock(shared_->mutex);
  if (shared_->closed) return std::nullopt;
  shared_->entries.push_back({std::move(name), {}});
  return Operation(std::make_shared<Operation::Impl>(shared_, std::prev(shared_->entries.end())));
}

void WayDown::AddTask(std::string name, std::function<void(std::stop_token)> task, Duration limit) {
  auto added = std::make_shared<Task>();
  added->name = std::move(name);
  added->function = std::move(task);
  added->limit = limit;
  const std::lock_guard lock(mutex_);
  tasks_.insert(tasks_.begin(), std::move(added));
}

void WayDown::Begin(std::function<void()> ended) {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->closed = true;
    shared_->ended = std::move(ended);
  }
  const std::lock_guard lock(mutex_);
  phase_ = ShutdownStatus::Phase::kDraining;
  begun_ = Clock::now();
}

void WayDown::SetRunningJobs(int running) {
  const std::lock_guard lock(mutex_);
  running_jobs_ = running;
}

bool WayDown::operations_ended() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->entries.empty();
}

void WayDown::StopOperations() {
  std::vector<std::stop_source> sources;
  {
    const std::lock_guard lock(shared_->mutex);
    for (const auto& entry : shared_->entries) sources.push_back(entry.stop);
  }
  // Without the lock: what listens may end its operation.
  for (std::stop_source& source : sources) source.request_stop();
}

int WayDown::LeaveOperations() {
  const std::lock_guard lock(shared_->mutex);
  shared_->closed = true;
  shared_->ended = nullptr;
  for (const auto& entry : shared_->entries)
    base::Log(base::Level::kWarn, "Operation left behind", {{"operation", entry.name}});
  return static_cast<int>(shared_->entries.size());
}

bool WayDown::WaitFor(Task& task, const ShutdownRequest& request) {
  std::unique_lock lock(task.mutex);
  const auto ended = [&] { return task.state != TaskState::kRunning; };
  task.hurry = task.hurry || request.at_once();
  task.changed.wait_for(lock, task.limit, [&] { return ended() || task.hurry; });
  if (!ended() && task.hurry) task.changed.wait_for(lock, std::min(task.limit, kLastMoment), ended);
  if (ended()) return true;
  lock.unlock();
  task.stop.request_stop();
  lock.lock();
  if (task.changed.wait_for(lock, kLastMoment, ended)) return true;
  task.state = TaskState::kTimedOut;
  base::Log(base::Level::kError, "Cleanup task left behind: it did not end in time", {{"task", task.name}});
  return false;
}

void WayDown::Cleanup(ShutdownRequest& request) {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->closed = true;  // when the worker never began, nobody else has said so
  }
  std::vector<std::shared_ptr<Task>> tasks;
  {
    const std::lock_guard lock(mutex_);
    if (phase_ >= ShutdownStatus::Phase::kCleaningUp) return;
    phase_ = ShutdownStatus::Phase::kCleaningUp;
    tasks = tasks_;
  }
  for (const auto& task : tasks) {
    request.OnAsk([task, &request] {
      if (!request.at_once()) return;
      const std::lock_guard lock(task->mutex);
      task->hurry = true;
      task->changed.notify_all();
    });
    {
      const std::lock_guard lock(task->mutex);
      task->state = TaskState::kRunning;
    }
    // The task is shared: a thread that is left behind may outlive all else.
    std::thread runs([task] {
      base::NameThread("mr-cleanup");
      task->Run();
    });
    WaitFor(*task, request) ? runs.join() : runs.detach();
  }
  request.OnAsk({});
}

void WayDown::Stopped() {
  const std::lock_guard lock(mutex_);
  phase_ = ShutdownStatus::Phase::kStopped;
}

ShutdownStatus WayDown::status() const {
  ShutdownStatus status;
  status.timeout = timeout_;
  {
    const std::lock_guard lock(shared_->mutex);
    for (const auto& entry : shared_->entries) status.operations.push_back(entry.name);
  }
  std::vector<std::shared_ptr<Task>> tasks;
  {
    const std::lock_guard lock(mutex_);
    status.phase = phase_;
    status.running_jobs = running_jobs_;
    if (begun_ != Clock::time_point()) {
      status.elapsed = std::chrono::duration_cast<Duration>(Clock::now() - begun_);
    }
    tasks = tasks_;
  }
  for (const auto& task : tasks) {
    const std::lock_guard lock(task->mutex);
    status.cleanup_tasks.push_back({task->name, task->state});
  }
  return status;
}

}  // namespace runtime
}  // namespace millrace
