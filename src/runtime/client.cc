#include "millrace/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "base/try.h"
#include "runtime/client_impl.h"
#include "storage/open.h"

namespace millrace {
namespace {

// Whether every job that may have met a full queue goes to one whose producers wait.
bool MayWait(const StorageOptions& options, std::span<const NewJob> jobs) {
  return std::any_of(options.queues.begin(), options.queues.end(), [&](const QueueOptions& queue) {
    return queue.overflow == Overflow::kBlock &&
           std::any_of(jobs.begin(), jobs.end(), [&](const NewJob& job) { return job.queue == queue.name; });
  });
}

}  // namespace

Client::Client(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<Client> Client::open(const StorageOptions& options) {
  MILLRACE_ASSIGN(auto storage, storage::OpenStorage(options));
  return Client(std::make_shared<Impl>(Impl{std::move(storage), options}));
}

Result<std::vector<Enqueued>> Client::enqueue(std::span<const NewJob> jobs) {
  // A queue with overflow `block` makes its producers wait: look again, ever less often, until there is room.
  Duration pause = std::chrono::milliseconds(1);
  while (true) {
    auto enqueued = impl_->storage->Enqueue(jobs);
    const bool full = !enqueued && enqueued.error().code == ErrorCode::kQueueFull;
    if (!full || !MayWait(impl_->options, jobs)) return enqueued;
    std::this_thread::sleep_for(pause);
    pause = std::min<Duration>(pause * 2, std::chrono::milliseconds(100));
  }
}

Result<Enqueued> Client::enqueue(const NewJob& job) {
  MILLRACE_ASSIGN(const std::vector<Enqueued> enqueued, enqueue(std::span(&job, 1)));
  return enqueued.front();
}

Result<void> Client::transaction(const std::function<Result<void>(Transaction&)>& body) {
  return impl_->storage->Transact([&](storage::Transaction& transaction) { return body(transaction); });
}

Result<Job> Client::get(JobId id) {
  MILLRACE_ASSIGN(std::optional<Job> job, impl_->storage->GetJob(id));
  if (!job) return fail(ErrorCode::kNotFound, fmt::format("no job {}", id));
  return std::move(*job);
}

}  // namespace millrace
