// The smallest program with a background job: enqueues greetings into ./hello.db and works them.
#include <cstdio>
#include <string>
#include <vector>

#include "millrace/client.h"
#include "millrace/worker.h"

struct Greeting {
  std::string name;
  int times = 1;
};

// Millrace finds this beside Greeting. A job whose args lack "name" becomes a dead letter that says so.
void read_args(millrace::ArgsReader& args, Greeting& greeting) {
  args.required("name", greeting.name).optional("times", greeting.times);
}

int main() {
  millrace::StorageOptions storage;
  storage.url = "./hello.db";
  auto client = millrace::Client::open(storage);
  if (!client) {
    std::fprintf(stderr, "%s\n", client.error().message.c_str());
    return 1;
  }

  std::vector<millrace::NewJob> jobs(2);
  jobs[0].kind = "greet";
  jobs[0].args = R"({"name": "Ada", "times": 2})";
  jobs[1].kind = "greet";
  jobs[1].args = R"({"name": "Grace"})";
  jobs[1].priority = millrace::Priority::kHigh;
  if (auto enqueued = client->enqueue(jobs); !enqueued) {  // both, durably, or neither
    std::fprintf(stderr, "%s\n", enqueued.error().message.c_str());
    return 1;
  }

  millrace::WorkerOptions options;
  options.concurrency = 1;
  options.max_jobs = 2;  // a service leaves this out and sets handle_signals
  millrace::Worker worker(*client, options);
  worker.handle<Greeting>("greet", [](const Greeting& greeting, millrace::Context&) {
    for (int i = 0; i < greeting.times; ++i) std::printf("hello, %s\n", greeting.name.c_str());
    return millrace::Outcome::done();
  });
  auto status = worker.run();
  if (!status) std::fprintf(stderr, "%s\n", status.error().message.c_str());
  return status ? *status : 1;
}
