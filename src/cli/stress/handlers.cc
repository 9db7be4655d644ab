#include "cli/stress/handlers.h"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/try.h"
#include "cli/output.h"
#include "cli/stress/load.h"
#include "millrace/worker.h"

namespace millrace::cli::stress {
namespace {

struct Order {
  std::int64_t number = 0;
};
void read_args(ArgsReader& args, Order& order) { args.required("number", order.number); }

// One line to the parent, whole.
void Tell(const std::string& line) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
}

// Waits, unless asked to stop.
void Pause(const Context& context, Duration time) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, context.stop_token(), time, [] { return false; });
}

class Handlers {
 public:
  Handlers(Client client, const Options& options, const Ledger& ledger)
      : client_(std::move(client)), options_(options), ledger_(ledger) {}

  void Register(Worker& worker) {
    for (const std::string_view kind : {kDone, kSleep, kAgain, kParent, kChild, kFatal, kSpent}) {
      worker.handle<Order>(std::string(kind),
                           [this](const Order& order, Context& context) { return Work(order.number, context); });
    }
  }

 private:
  Outcome Work(std::int64_t number, Context& context) {
    const Job& job = context.job();
    std::int64_t entered = 0;
    if (options_.postgres && (!job.partition_key.empty() || options_.queue_concurrency)) {
      const auto step = ledger_.Enter(client_);
      if (!step) return Outcome::retry(step.error().message, Duration(0));
      entered = *step;
    }
    if (job.kind == kSpent) return Outcome::retry("fails each time", Duration(0));
    if (job.kind == kAgain && job.attempt == 1) return Outcome::retry("fails at first", Duration(0));
    if (job.kind == kSleep) Pause(context, options_.work);
    if (job.kind == kParent) context.emit(MakeChild(options_, number));
    const Outcome outcome = job.kind == kFatal ? Outcome::fatal("can never succeed") : Outcome::done();
    bool unique = true;
    const auto written = context.complete_in(
        [&](Transaction& transaction) -> Result<void> {
          if (!job.unique_key.empty()) {
            MILLRACE_ASSIGN(unique, OrderedAlready(transaction, number, job.id));
          }
          return ledger_.Write(transaction.sql(), number, job, entered);
        },
        outcome);
    if (!written && written.error().code == ErrorCode::kLeaseLost) Tell(fmt::format("refused {}\n", job.id));
    if (written && !unique) Tell(fmt::format("broken {}\n", number));
    return written ? outcome : Outcome::retry(written.error().message, Duration(0));
  }

  // The same order from another connection while its job runs: nothing but a duplicate may come of it.
  Result<bool> OrderedAlready(Transaction& transaction, std::int64_t number, JobId id) {
    const NewJob again = MakeJob(options_, number);
    MILLRACE_ASSIGN(const std::vector<Enqueued> enqueued, transaction.enqueue({&again, 1}));
    return enqueued.front().duplicate && enqueued.front().id == id;
  }

  Client client_;
  const Options& options_;
  const Ledger& ledger_;
};

// Orders jobs for `time`, beside the worker of this process.
void OrderBeside(Client& client, const Options& options, const Ledger& ledger, Duration time,
                 const std::stop_token& stop) {
  std::stop_source loaded;
  if (time.count() <= 0) loaded.request_stop();
  const auto until = std::chrono::steady_clock::now() + time;
  Load load(
      client, options, ledger,
      [&](const Standing& standing) {
        Tell(fmt::format("standing {} {} {}\n", standing.finished, standing.open, standing.all_ordered ? 1 : 0));
        if (std::chrono::steady_clock::now() >= until) loaded.request_stop();
      },
      [](std::int64_t first, std::int64_t last) { Tell(fmt::format("ordered {} {}\n", first, last)); });
  load.Run(loaded.get_token(), stop);
  for (const std::int64_t number : load.broken()) Tell(fmt::format("broken {}\n", number));
}

}  // namespace

int WorkHere(const Options& options, Duration load) {
  const Ledger ledger(options);
  auto client = Client::open(options.storage);
  if (!client) return PrintError(client.error());
  if (!options.postgres) {
    if (auto made = ledger.Make(*client); !made) return PrintError(made.error());
  }
  WorkerOptions worker_options;
  worker_options.concurrency = options.concurrency;
  worker_options.queues = {options.queue()};
  worker_options.heartbeat_interval = options.heartbeat_interval;
  worker_options.stale_threshold = options.stale_threshold;
  worker_options.history_retention = Duration(0);  // what is old is not this command's to delete
  worker_options.handle_signals = true;
  Handlers handlers(*client, options, ledger);
  Worker worker(*client, worker_options);
  handlers.Register(worker);
  std::jthread producer;
  if (!options.postgres) {
    producer = std::jthread([&](const std::stop_token& stop) { OrderBeside(*client, options, ledger, load, stop); });
  }
  const auto status = worker.run();
  return status ? *status : PrintError(status.error());
}

}  // namespace millrace::cli::stress
