#include "millrace/worker.h"

#include <atomic>

#include "base/try.h"
#include "runtime/client_impl.h"
#include "runtime/daemon.h"

namespace millrace {

struct Worker::Impl {
  Client client;
  WorkerOptions options;
  std::shared_ptr<runtime::Handlers> handlers;
  runtime::ShutdownRequest shutdown;
};

Worker::Worker(Client client, WorkerOptions options)
    : impl_(new Impl{client, std::move(options), std::make_shared<runtime::Handlers>(client.impl()->options), {}}) {}

Worker::~Worker() = default;

void Worker::handle_raw(std::string kind, HandlerFunction function, HandlerOptions options) {
  impl_->handlers->Add(std::move(kind), {std::move(function), std::move(options)});
}

Result<int> Worker::run() {
  std::unique_ptr<runtime::SignalWatch> signals;
  if (impl_->options.handle_signals) signals = std::make_unique<runtime::SignalWatch>(impl_->shutdown);
  runtime::Daemon daemon(impl_->client.impl()->storage, impl_->options, impl_->handlers, impl_->shutdown);
  return daemon.Run();
}

void Worker::stop() { impl_->shutdown.Ask(); }

}  // namespace millrace
