#include "peer.h"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <thread>

#include "storage/postgres/migrate.h"

namespace millrace::bench {
namespace {

constexpr std::int64_t kFirstAccount = 10'000'000;
constexpr std::string_view kBeforeNumber = R"({"account":)";
constexpr auto kReportInterval = std::chrono::milliseconds(5);

std::string DatabaseUrl() {
  const char* url = std::getenv("DATABASE_URL");
  if (url == nullptr) throw std::runtime_error("DATABASE_URL names no database");
  return url;
}

void Setup() {
  storage::postgres::ConnectOptions options;
  options.url = DatabaseUrl();
  auto connection = Must(storage::postgres::Connection::Open(options));
  Must(storage::postgres::MigrateUp(*connection, "millrace"));
}

void Enqueue(const Peer& peer, std::int64_t jobs) {
  const std::string url = DatabaseUrl();
  peer.enqueue(url, jobs);
}

// One job at each multiple of the interval; one that is late is sent at once. Each is confirmed before the next.
void Produce(const Peer& peer, std::int64_t count, double interval, const std::string& file) {
  if (!peer.enqueue_one) throw std::runtime_error("this peer has no latency to measure");
  const std::string url = DatabaseUrl();
  Timeline called(count);
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < count; ++i) {
    std::this_thread::sleep_until(start + std::chrono::duration<double, std::milli>(interval * static_cast<double>(i)));
    called.Record(i, WallSeconds());
    peer.enqueue_one(url, i);
  }
  called.Write(file);
}

void Say(const std::string& line) { std::cout << line << std::endl; }

void Expect(std::string_view wanted) {
  std::string line;
  if (!std::getline(std::cin, line) || line != wanted)
    throw std::runtime_error("expected '" + std::string(wanted) + "' on standard input, not '" + line + "'");
}

void WorkUntilStopped(const Peer& peer, std::int64_t jobs, const std::string& file) {
  Timeline timeline(jobs);
  const Peer::Work work = peer.work(DatabaseUrl(), timeline);
  Say("ready");
  Expect("go");
  std::atomic<bool> over{false};
  std::thread worker([&] {
    try {
      work.run();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
      std::_Exit(1);  // the harness sees it at once
    }
  });
  std::thread reporter([&] {
    for (std::int64_t said = 0; !over; std::this_thread::sleep_for(kReportInterval)) {
      const std::int64_t count = timeline.count();
      if (count != said) Say("count " + std::to_string(count));
      said = count;
    }
  });
  Expect("stop");
  work.stop();
  worker.join();
  over = true;
  reporter.join();
  timeline.Write(file);
  Say("stopped " + std::to_string(timeline.count()));
}

}  // namespace

double WallSeconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string ArgsOf(std::int64_t index) {
  return std::string(kBeforeNumber) + std::to_string(kFirstAccount + index) +
         R"(,"template":"welcome","locale":"en-GB"})";
}

std::int64_t IndexOf(std::string_view args) {
  std::int64_t account = -1;
  if (args.starts_with(kBeforeNumber))
    std::from_chars(args.data() + kBeforeNumber.size(), args.data() + args.size(), account);
  if (account < kFirstAccount) throw std::runtime_error("not args of this bench: " + std::string(args));
  return account - kFirstAccount;
}

void Timeline::Record(std::int64_t index, double at) {
  const auto slot = static_cast<std::size_t>(count_.fetch_add(1, std::memory_order_relaxed));
  if (slot < entries_.size()) entries_[slot] = {static_cast<double>(index), at};
}

void Timeline::Write(const std::string& file) const {
  const std::size_t entries = std::min(entries_.size(), static_cast<std::size_t>(count()));
  std::ofstream out(file, std::ios::binary);
  out.write(reinterpret_cast<const char*>(entries_.data()), static_cast<std::streamsize>(entries * sizeof(Entry)));
  if (!out.flush()) throw std::runtime_error("cannot write " + file);
}

int PeerMain(int argc, char** argv, const Peer& peer) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const std::string command = words.empty() ? "" : words[0];
  try {
    if (command == "version") {
      Say(peer.version());
    } else if (command == "setup") {
      Setup();
    } else if (command == "enqueue" && words.size() == 2) {
      Enqueue(peer, std::stoll(words[1]));
    } else if (command == "work" && words.size() == 4) {
      WorkUntilStopped(peer, std::stoll(words[1]), words[2]);
    } else if (command == "produce" && words.size() == 4) {
      Produce(peer, std::stoll(words[1]), std::stod(words[2]), words[3]);
    } else {
      std::fprintf(stderr, "usage: version | setup | enqueue JOBS | work JOBS FILE WORKLOAD | produce JOBS MS FILE\n");
      return 2;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return 1;
  }
  return 0;
}

}  // namespace millrace::bench
