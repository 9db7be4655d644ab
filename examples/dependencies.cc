// Jobs that wait for others: two parts, one job that joins them, and one that would clean up, in ./dependencies.db.
#include <cstdio>
#include <vector>

#include "millrace/client.h"
#include "millrace/worker.h"

int main() {
  millrace::StorageOptions storage;
  storage.url = "./dependencies.db";
  auto client = millrace::Client::open(storage);
  if (!client) {
    std::fprintf(stderr, "%s\n", client.error().message.c_str());
    return 1;
  }

  std::vector<millrace::NewJob> jobs(4);
  jobs[0].kind = "part";
  jobs[1].kind = "part";
  jobs[2].kind = "join";
  jobs[2].after_in_batch = {0, 1};  // runs when both have completed
  jobs[3].kind = "clean_up";
  jobs[3].after_in_batch = {2};
  jobs[3].when = millrace::DependencyPolicy::kAnyFailed;  // cancelled when the join completes
  auto enqueued = client->enqueue(jobs);
  if (!enqueued) {
    std::fprintf(stderr, "%s\n", enqueued.error().message.c_str());
    return 1;
  }

  millrace::WorkerOptions options;
  options.concurrency = 1;
  options.max_jobs = 3;
  millrace::Worker worker(*client, options);
  for (const char* kind : {"part", "join", "clean_up"}) {
    worker.handle_raw(kind, [kind](millrace::Context&) {
      std::printf("%s\n", kind);
      return millrace::Outcome::done();
    });
  }
  auto status = worker.run();
  if (!status) {
    std::fprintf(stderr, "%s\n", status.error().message.c_str());
    return 1;
  }
  auto clean_up = client->get(enqueued->at(3).id);
  if (clean_up) std::printf("clean_up: %s\n", clean_up->error.c_str());
  return *status;
}
