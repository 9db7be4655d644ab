// A thread's stack can only be taken by itself: each is sent a signal, whose handler takes the return addresses into a
// slot and says so; names are looked up afterwards, outside any handler.
#include "cli/thread_dump.h"

#define BACKWARD_HAS_DW 1
#include <dirent.h>
#include <execinfo.h>
#include <fmt/format.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <backward.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <mutex>
#include <thread>
#include <vector>

#include "cli/output.h"

namespace millrace::cli {
namespace {

constexpr int kMostFrames = 64;
constexpr std::size_t kMostNameBytes = 160;

// Where the thread asked writes to. Written by its handler only while `wanted` names it.
struct Slot {
  std::atomic<pid_t> wanted = 0;
  std::array<void*, kMostFrames> frames{};
  int count = 0;
  sem_t done{};
};
Slot g_slot;

int DumpSignal() { return SIGRTMIN + 7; }

void OnDumpSignal(int) {
  const int saved = errno;
  pid_t self = static_cast<pid_t>(syscall(SYS_gettid));
  // Claimed before writing, so that a thread that answers too late writes nothing into another one's slot.
  if (g_slot.wanted.compare_exchange_strong(self, -1)) {
    g_slot.count = backtrace(g_slot.frames.data(), kMostFrames);
    sem_post(&g_slot.done);
  }
  errno = saved;
}

void InstallHandler() {
  static std::once_flag once;
  std::call_once(once, [] {
    // The first call loads libgcc, which is not allowed in a handler.
    std::array<void*, 2> warm_up{};
    (void)backtrace(warm_up.data(), 2);
    sem_init(&g_slot.done, 0, 0);
    struct sigaction action {};
    action.sa_handler = OnDumpSignal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(DumpSignal(), &action, nullptr);
  });
}

std::vector<pid_t> Threads() {
  std::vector<pid_t> out;
  DIR* folder = opendir("/proc/self/task");
  if (folder == nullptr) return out;
  while (const dirent* entry = readdir(folder)) {
    if (const long id = std::strtol(entry->d_name, nullptr, 10); id > 0) out.push_back(static_cast<pid_t>(id));
  }
  closedir(folder);
  return out;
}

std::string ThreadName(pid_t thread) {
  std::ifstream file(fmt::format("/proc/self/task/{}/comm", thread));
  std::string name;
  std::getline(file, name);
  return name;
}

// Takes one thread's frames into the slot; false when it does not answer.
bool Capture(pid_t thread) {
  g_slot.count = 0;
  g_slot.wanted = thread;
  if (syscall(SYS_tgkill, getpid(), thread, DumpSignal()) != 0) return false;
  timespec until{};
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += 1;
  int waited = 0;
  while ((waited = sem_timedwait(&g_slot.done, &until)) != 0 && errno == EINTR) {
  }
  if (waited == 0) return true;
  pid_t expected = thread;
  if (g_slot.wanted.compare_exchange_strong(expected, 0)) return false;
  // It began to answer just now: its frames are on their way.
  while (sem_wait(&g_slot.done) != 0) {
  }
  return true;
}

std::string DescribeFrame(backward::TraceResolver& resolver, void* address, std::size_t index) {
  const backward::ResolvedTrace trace = resolver.resolve(backward::Trace(address, index));
  std::string line = fmt::format("  #{:<2} {}", index, fmt::ptr(address));
  const std::string& function = trace.source.function.empty() ? trace.object_function : trace.source.function;
  if (!function.empty()) line += " " + Shorten(function, kMostNameBytes);  // templates' names have no end
  if (!trace.source.filename.empty()) line += fmt::format(" at {}:{}", trace.source.filename, trace.source.line);
  if (function.empty() && !trace.object_filename.empty()) line += " in " + trace.object_filename;
  return line + "\n";
}

}  // namespace

std::string DumpThreads() {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  InstallHandler();
  backward::TraceResolver resolver;
  const std::vector<pid_t> threads = Threads();
  std::string out = fmt::format("{} threads of process {}\n", threads.size(), getpid());
  for (const pid_t thread : threads) {
    out += fmt::format("\nthread {} ({})\n", thread, ThreadName(thread));
    if (!Capture(thread)) {
      out += "  does not answer\n";
      continue;
    }
    const std::vector<void*> frames(g_slot.frames.begin(), g_slot.frames.begin() + g_slot.count);
    // The first two are the handler and the signal's trampoline.
    const std::size_t first = frames.size() > 2 ? 2 : 0;
    resolver.load_addresses(const_cast<void**>(frames.data()), static_cast<int>(frames.size()));
    for (std::size_t i = first; i < frames.size(); ++i) {
      // Return addresses point behind the call.
      void* address = i == first ? frames[i] : static_cast<char*>(frames[i]) - 1;
      out += DescribeFrame(resolver, address, i - first);
    }
  }
  return out;
}

namespace {
std::atomic<int> g_sigquit_event = -1;

void OnSigquit(int) {
  const int saved = errno;
  const std::uint64_t one = 1;
  if (const int fd = g_sigquit_event; fd >= 0 && write(fd, &one, sizeof(one)) < 0) errno = saved;
  errno = saved;
}
}  // namespace

struct DumpOnSigquit::Impl {
  int event = eventfd(0, EFD_CLOEXEC);
  std::atomic<bool> stop = false;
  struct sigaction before {};
  std::thread thread;
};

DumpOnSigquit::DumpOnSigquit() : impl_(std::make_unique<Impl>()) {
  g_sigquit_event = impl_->event;
  impl_->thread = std::thread([impl = impl_.get()] {
    pthread_setname_np(pthread_self(), "sigquit");
    std::uint64_t count = 0;
    while (read(impl->event, &count, sizeof(count)) >= 0 || errno == EINTR) {
      if (impl->stop) return;
      if (count == 0) continue;
      count = 0;
      const std::string text = DumpThreads();
      std::fwrite(text.data(), 1, text.size(), stderr);
      std::fflush(stderr);
    }
  });
  struct sigaction action {};
  action.sa_handler = OnSigquit;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGQUIT, &action, &impl_->before);
}

DumpOnSigquit::~DumpOnSigquit() {
  sigaction(SIGQUIT, &impl_->before, nullptr);
  g_sigquit_event = -1;
  impl_->stop = true;
  const std::uint64_t one = 1;
  while (write(impl_->event, &one, sizeof(one)) < 0 && errno == EINTR) {
  }
  impl_->thread.join();
  close(impl_->event);
}

}  // namespace millrace::cli
