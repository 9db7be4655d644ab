// millrace_test_worker DB [--books N] [--enqueue KIND ARGS] [--max-jobs N] [--shutdown-ms N]: a user's program, by the
// public headers alone, with handlers that misbehave on request. Prints one line per event, for tests to wait for.
#include <fcntl.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "millrace/client.h"
#include "millrace/worker.h"

namespace {

using namespace millrace;

void Say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

struct Book {
  std::int64_t number = 0;
};
void read_args(ArgsReader& args, Book& book) { args.required("number", book.number); }

struct Gate {
  std::string path;
};
void read_args(ArgsReader& args, Gate& gate) { args.required("path", gate.path); }

// Every tenth can never succeed, every seventh fails at first; the rest write one row, with their completion.
Outcome KeepBooks(const Book& book, Context& context) {
  if (book.number % 10 == 0) return Outcome::fatal("not in the books");
  if (book.number % 7 == 0 && context.job().attempt == 1) return Outcome::retry("at first", Duration(0));
  auto written = context.complete_in([&](Transaction& transaction) {
    std::vector<SqlValue> values{book.number};
    return transaction.sql().execute("INSERT INTO books (number) VALUES (?)", values);
  });
  return written ? Outcome::done() : Outcome::retry(written.error().message);
}

// Waits until somebody writes to the FIFO.
Outcome WaitAtGate(const Gate& gate, Context&) {
  Say("at the gate");
  int fd = open(gate.path.c_str(), O_RDONLY | O_CLOEXEC);
  char byte = 0;
  bool opened = fd >= 0 && read(fd, &byte, 1) == 1;
  if (fd >= 0) close(fd);
  return opened ? Outcome::done() : Outcome::retry("the gate broke");
}

// Waits for its stop token; with `stubborn` not even for that.
Outcome WaitForStop(Context& context, bool stubborn) {
  std::mutex mutex;
  std::condition_variable_any condition;
  std::unique_lock lock(mutex);
  Say("waiting");
  condition.wait(lock, stubborn ? std::stop_token() : context.stop_token(), [] { return false; });
  Say("asked to stop");
  return Outcome::retry("stopped");
}

// Enqueues the books numbered up to `count` that are not there yet, each exactly once whatever happens.
Result<void> EnqueueBooks(Client& client, std::int64_t count) {
  for (bool all = false; !all;) {
    auto done = client.transaction([&](Transaction& transaction) -> Result<void> {
      SqlSession& sql = transaction.sql();
      if (auto r = sql.execute("CREATE TABLE IF NOT EXISTS books (number INTEGER PRIMARY KEY)"); !r) return r;
      if (auto r = sql.execute("CREATE TABLE IF NOT EXISTS ordered (number INTEGER PRIMARY KEY)"); !r) return r;
      std::int64_t first = 0;
      auto r = sql.query("SELECT count(*) FROM ordered", {}, [&](const SqlRow& row) {
        first = row.integer(0);
        return false;
      });
      if (!r) return r;
      std::vector<NewJob> jobs;
      for (std::int64_t i = first; i < std::min(count, first + 20); ++i) {
        std::vector<SqlValue> values{i};
        if (auto inserted = sql.execute("INSERT INTO ordered (number) VALUES (?)", values); !inserted) return inserted;
        NewJob job;
        job.kind = "book";
        job.args = "{\"number\": " + std::to_string(i) + "}";
        job.priority = static_cast<Priority>(i % kPriorityCount);
        job.max_attempts = 5;
        job.max_crashes = 1000;
        if (i % 3 == 0) job.partition_key = "shelf " + std::to_string(i % 5);
        jobs.push_back(std::move(job));
      }
      all = jobs.empty();
      if (auto enqueued = transaction.enqueue(jobs); !enqueued) return fail(enqueued.error());
      return {};
    });
    if (!done) return done;
  }
  return {};
}

struct Options {
  std::string database;
  std::int64_t books = 0, max_jobs = 0, shutdown_ms = 30'000;
  std::vector<NewJob> jobs;
};

Options Parse(int argc, char** argv) {
  Options options;
  options.database = argc > 1 ? argv[1] : "";
  for (int i = 2; i < argc; ++i) {
    std::string name = argv[i];
    if (name == "--books") options.books = std::stoll(argv[++i]);
    if (name == "--max-jobs") options.max_jobs = std::stoll(argv[++i]);
    if (name == "--shutdown-ms") options.shutdown_ms = std::stoll(argv[++i]);
    if (name == "--enqueue") {
      NewJob job;
      job.kind = argv[++i];
      job.args = argv[++i];
      options.jobs.push_back(std::move(job));
    }
  }
  return options;
}

int Fail(const Error& error) {
  std::fprintf(stderr, "%s: %s\n", std::string(error_code_name(error.code)).c_str(), error.message.c_str());
  return 1;
}

void Register(Worker& worker) {
  worker.handle<Book>("book", KeepBooks);
  worker.handle<Gate>("gate", WaitAtGate);
  worker.handle_raw("wait", [](Context& context) { return WaitForStop(context, false); });
  worker.handle_raw("stubborn", [](Context& context) { return WaitForStop(context, true); });
  worker.handle_raw("noop", [](Context&) { return Outcome::done(); });
  worker.handle_raw("throw", [](Context&) -> Outcome { throw std::runtime_error("thrown on purpose"); });
}

}  // namespace

int main(int argc, char** argv) {
  Options options = Parse(argc, argv);
  StorageOptions storage;
  storage.url = options.database;
  storage.owner = "test worker";
  auto client = Client::open(storage);
  if (!client) return Fail(client.error());
  if (auto enqueued = client->enqueue(options.jobs); !enqueued) return Fail(enqueued.error());
  WorkerOptions worker_options;
  worker_options.concurrency = 4;
  worker_options.max_jobs = options.max_jobs;
  worker_options.shutdown_timeout = std::chrono::milliseconds(options.shutdown_ms);
  worker_options.handle_signals = true;
  Worker worker(*client, worker_options);
  Register(worker);
  Say("ready");
  // Orders while it works, so that a kill may hit either.
  std::thread producer([&] {
    if (options.books == 0) return;
    if (auto ordered = EnqueueBooks(*client, options.books); !ordered) Fail(ordered.error());
    Say("ordered");
  });
  auto status = worker.run();
  producer.join();
  return status ? *status : Fail(status.error());
}
