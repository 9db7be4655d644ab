#include "millrace/worker.h"

#include <atomic>

#include "base/try.h"
#include "runtime/client_impl.h"
#include "runtime/daemon.h"

namespace millrace {

struct Worker::Impl {
  Impl(Client its_client, WorkerOptions its_options)
      : client(std::move(its_client)),
        options(std::move(its_options)),
        handlers(std::make_shared<runtime::Handlers>(client.impl()->options)) {}

  Client client;
  WorkerOptions options;
  std::shared_ptr<runtime::Handlers> handlers;
  runtime::ShutdownRequest shutdown;
  std::shared_ptr<runtime::LoopWatch> watch = std::make_shared<runtime::LoopWatch>();
  std::shared_ptr<runtime::WayDown> way_down = std::make_shared<runtime::WayDown>(options.shutdown_timeout);
};

Worker::Worker(Client client, WorkerOptions options)
    : impl_(std::make_unique<Impl>(std::move(client), std::move(options))) {}

Worker::~Worker() = default;

void Worker::handle_raw(std::string kind, HandlerFunction function, HandlerOptions options) {
  impl_->handlers->Add(std::move(kind), {std::move(function), options});
}

Result<int> Worker::run() {
  std::unique_ptr<runtime::SignalWatch> signals;
  if (impl_->options.handle_signals) signals = std::make_unique<runtime::SignalWatch>(impl_->shutdown);
  runtime::Daemon daemon(impl_->client.impl()->storage, impl_->options, impl_->handlers, impl_->shutdown, impl_->watch,
                         impl_->way_down);
  auto status = daemon.Run();
  impl_->way_down->Cleanup(impl_->shutdown);  // in case it never came to that
  impl_->way_down->Stopped();
  return status;
}

void Worker::stop() { impl_->shutdown.Ask(); }

std::optional<Operation> Worker::operation(std::string name) { return impl_->way_down->Start(std::move(name)); }

void Worker::on_shutdown(std::string name, std::function<void(std::stop_token)> task, Duration limit) {
  impl_->way_down->AddTask(std::move(name), std::move(task), limit);
}

std::function<ShutdownStatus()> Worker::shutdown_status() const {
  return [way_down = impl_->way_down] { return way_down->status(); };
}

std::function<std::string()> Worker::stuck_loop(Duration limit) const {
  return [watch = impl_->watch, limit] { return watch->Stuck(limit); };
}

}  // namespace millrace
