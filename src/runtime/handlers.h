// The handlers a worker has, by kind, and what decides the fate of a failed attempt.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "millrace/handler.h"
#include "storage/storage.h"

namespace millrace::runtime {

struct Handler {
  HandlerFunction function;
  HandlerOptions options;
};

// Read-only once the worker runs.
class Handlers {
 public:
  explicit Handlers(const StorageOptions& storage) : storage_(storage) {}

  void Add(std::string kind, Handler handler) { handlers_[std::move(kind)] = std::move(handler); }
  [[nodiscard]] const Handler* Find(const std::string& kind) const;
  [[nodiscard]] std::vector<std::string> Kinds() const;
  [[nodiscard]] std::map<std::string, Duration> Timeouts() const;

  // Of one attempt: the job's, else the kind's, else work_queue.claim_timeout.
  [[nodiscard]] Duration TimeoutOf(const storage::ClaimedJob& job) const;

  // The report of a failed attempt: another one after the policy's delay (or `after`), or dead when none is left.
  [[nodiscard]] storage::Report Failure(const storage::ClaimedJob& job, std::string error,
                                        std::optional<Duration> after, bool timed_out) const;

 private:
  std::map<std::string, Handler, std::less<>> handlers_;
  StorageOptions storage_;
};

// A report with the job's lease filled in. An error's text is made one that every database takes.
storage::Report ReportFor(const storage::ClaimedJob& job, storage::Verdict verdict, std::string text = {});

}  // namespace millrace::runtime
