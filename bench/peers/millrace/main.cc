// Millrace as one of the peers: its public headers alone, in the configuration its users get.
#include <algorithm>
#include <iostream>
#include <memory>
#include <vector>

#include "millrace/client.h"
#include "millrace/worker.h"
#include "peers/peer.h"

namespace millrace::bench {
namespace {

constexpr std::int64_t kBatch = 2000;

Client Open(const std::string& url) {
  StorageOptions options;
  options.url = url;
  return Must(Client::open(options));
}

NewJob JobOf(std::int64_t index) {
  NewJob job;
  job.kind = "noop";
  job.args = ArgsOf(index);
  return job;
}

void Enqueue(const std::string& url, std::int64_t jobs) {
  Client client = Open(url);
  std::vector<NewJob> batch;
  const double start = WallSeconds();
  for (std::int64_t first = 0; first < jobs; first += kBatch) {
    batch.clear();
    for (std::int64_t i = first; i < std::min(jobs, first + kBatch); ++i) batch.push_back(JobOf(i));
    (void)Must(client.enqueue(batch));
  }
  std::cout << "seconds " << WallSeconds() - start << std::endl;
}

void EnqueueOne(const std::string& url, std::int64_t index) {
  static Client client = Open(url);
  (void)Must(client.enqueue(JobOf(index)));
}

Peer::Work Work(const std::string& url, Timeline& timeline) {
  auto worker = std::make_shared<Worker>(Open(url), WorkerOptions{});
  worker->handle_raw("noop", [&timeline](Context& context) {
    timeline.Record(IndexOf(context.job().args), WallSeconds());
    return Outcome::done();
  });
  const auto run = [worker] {
    if (Must(worker->run()) != 0) throw std::runtime_error("the worker released work");
  };
  return {run, [worker] { worker->stop(); }};
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  using namespace millrace::bench;  // NOLINT(google-build-using-namespace)
  return PeerMain(argc, argv,
                  {[] {
                     return "of this source tree; enqueue in batches of " + std::to_string(kBatch) +
                            ", worker with its defaults";
                   },
                   Enqueue, EnqueueOne, Work});
}
