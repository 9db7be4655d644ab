#include "support/content.h"

#include <gtest/gtest.h>

#include <sstream>
#include <stdexcept>

#include "storage/open.h"

namespace millrace::tests {
namespace {

std::unique_ptr<storage::Storage> Open(const std::filesystem::path& database) {
  StorageOptions options;
  options.url = database.string();
  options.owner = "test";
  auto opened = storage::OpenStorage(options);
  if (!opened) throw std::runtime_error("cannot open " + database.string() + ": " + opened.error().message);
  return std::move(*opened);
}

}  // namespace

std::string Content(const std::filesystem::path& database) {
  auto storage = Open(database);
  auto index = documents::CheckIndex(*storage);
  EXPECT_TRUE(index.has_value()) << index.error().message;
  storage::JobFilter unfinished;
  unfinished.states = {JobState::kWaiting, JobState::kScheduled, JobState::kAvailable, JobState::kRunning,
                       JobState::kRetryable};
  auto open = storage->ListJobs(unfinished);
  EXPECT_TRUE(open.has_value() && open->empty()) << "jobs are left unfinished";
  std::ostringstream out;
  auto dumped = documents::DumpContent(*storage, out);
  EXPECT_TRUE(dumped.has_value()) << dumped.error().message;
  return out.str();
}

std::map<std::string, documents::DocumentRow> Documents(const std::filesystem::path& database) {
  auto storage = Open(database);
  std::map<std::string, documents::DocumentRow> result;
  documents::DocumentFilter filter;
  for (;;) {
    auto page = documents::ListDocuments(*storage, filter);
    if (!page) throw std::runtime_error(page.error().message);
    if (page->empty()) return result;
    filter.after_source = page->back().source;
    filter.after_path = page->back().path;
    for (documents::DocumentRow& row : *page) {
      std::string name = std::filesystem::path(row.path).filename().string();
      // One would hide the other, whichever of them should not be there.
      if (result.contains(name)) throw std::runtime_error("two documents are named " + name);
      result[name] = std::move(row);
    }
  }
}

std::map<std::string, int> JobStates(const std::filesystem::path& database, const std::string& kind) {
  auto storage = Open(database);
  std::map<std::string, int> result;
  storage::JobFilter filter;
  filter.kind = kind;
  filter.limit = 1000;
  for (;;) {
    auto page = storage->ListJobs(filter);
    if (!page) throw std::runtime_error(page.error().message);
    if (page->empty()) return result;
    filter.after_id = page->back().id;
    for (const Job& job : *page) ++result[std::string(job_state_name(job.state))];
  }
}

}  // namespace millrace::tests
