// What tests of the documents pipeline share: folders, a parser without children, and a machine that runs the handlers
// one after the other and can be made to die at any write.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/test_unprivileged.h"
#include "pipelines/documents/handlers.h"
#include "pipelines/documents/store.h"
#include "pipelines/documents/test_databases.h"
#include "storage/open.h"

namespace millrace::documents {

using base::Unprivileged;

// A document whose elements are the lines of a text; the first is its title. "|TEXT" is a table cell, "<TEXT
// NAME=VALUE" an XML element with an attribute.
class LinesDocument : public ParsedDocument {
 public:
  explicit LinesDocument(const std::string& text) {
    elements_.push_back({-1, ElementType::kRoot, 0, "", "", ""});
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      if (metadata_.title.empty()) metadata_.title = line;
      const std::string location = "line " + std::to_string(elements_.size());
      const bool cell = line.starts_with("|");
      if (line.starts_with("<")) {
        AddXml(line.substr(1), location);
        continue;
      }
      elements_.push_back({0, cell ? ElementType::kTableCell : ElementType::kParagraph, 0, line, location,
                           cell ? "{\"column\":1}" : ""});
    }
    metadata_.media_type = "text/plain";
    metadata_.language = "en";
  }
  [[nodiscard]] const DocumentMetadata& metadata() const override { return metadata_; }
  [[nodiscard]] const std::vector<std::string>& warnings() const override { return warnings_; }
  [[nodiscard]] std::int64_t element_count() const override { return static_cast<std::int64_t>(elements_.size()); }
  Result<void> ForEach(const std::function<Result<void>(const Element&)>& each) override {
    for (const Element& element : elements_) {
      if (auto done = each(element); !done) return done;
    }
    return {};
  }
  DocumentMetadata& metadata() { return metadata_; }
  std::vector<Element>& elements() { return elements_; }
  std::vector<std::string>& warnings() { return warnings_; }

 private:
  void AddXml(const std::string& text, const std::string& location) {
    const std::size_t equals = text.rfind('='), name = text.rfind(' ', equals) + 1;
    const std::string attribute = "\"" + text.substr(name, equals - name) + "\":\"" + text.substr(equals + 1) + "\"";
    elements_.push_back({0, ElementType::kXmlElement, 0, text, location, "{\"attributes\":{" + attribute + "}}"});
  }

  DocumentMetadata metadata_;
  std::vector<std::string> warnings_;
  std::vector<Element> elements_;
};

// Parses lines in this process. A file that starts with "!REASON" fails for that reason; "!machine" is the machine's
// failure.
class LinesPool : public ParserPool {
 public:
  Result<ParseOutcome> Parse(const ParseInput& input, std::stop_token stop) override {
    if (stop.stop_requested()) return fail(ErrorCode::kCancelled, "stopped");
    ++parsed;
    if (on_parse) on_parse(input.name);
    std::string text;
    char buffer[4096];
    for (off_t at = 0;;) {
      const ssize_t n = ::pread(input.fd, buffer, sizeof(buffer), at);
      if (n <= 0) break;
      text.append(buffer, static_cast<std::size_t>(n));
      at += n;
    }
    ParseOutcome outcome;
    if (text.starts_with("!machine")) return fail(ErrorCode::kIo, "cannot start a parser");
    if (text.starts_with("!")) {
      outcome.failure = {text.substr(1, text.find('\n') - 1), "as the test said"};
    } else {
      outcome.document = std::make_unique<LinesDocument>(text);
    }
    return outcome;
  }
  std::atomic<int> parsed = 0;
  std::function<void(const std::string& name)> on_parse;  // before it is read
};

// The process dies here.
struct Died {};

// Runs a database's jobs one by one through the handlers, as a worker would.
class Machine {
 public:
  Machine(std::string database, ParserPool& pool, DocumentsContext::Options options = {})
      : database_(std::move(database)), pool_(pool), options_(options) {
    Start();
  }

  // Starts a run over these sources and works until it is over. Returns its id.
  RunId Run(const DocumentsSpec& spec) {
    run_ = Must(StartDocumentsRun(*storage_, spec)).id;
    Work();
    return run_;
  }
  // Works until no job is left; what is to be tried again later is tried at once.
  void Work() {
    while (WorkOne()) {
    }
  }
  // Works one job, if there is one.
  bool WorkOne();
  // Dies at the n-th write from now (from 1): before it, or after it was committed. 0: never. As a killed process does,
  // it leaves the database as it is; the machine then starts again by itself.
  void DieAt(int write, bool after) {
    die_at_ = write;
    die_after_ = after;
    writes_ = 0;
  }
  [[nodiscard]] int deaths() const { return deaths_; }

  [[nodiscard]] storage::Storage& storage() { return *storage_; }
  [[nodiscard]] DocumentsContext& documents() { return *documents_; }
  std::string Dump() {
    std::ostringstream out;
    Must(DumpContent(*storage_, out));
    return out.str();
  }
  std::vector<Job> Jobs(JobState state, std::string_view kind) {
    storage::JobFilter filter;
    filter.states = {state};
    filter.kind = kind;
    filter.limit = 10'000;
    return Must(storage_->ListJobs(filter));
  }

  template <class T>
  static T Must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message);
    if constexpr (!std::is_void_v<T>) return std::move(*result);
  }

 private:
  class JobContext;

  void Start() {
    documents_.reset();
    storage_.reset();
    StorageOptions storage_options;
    storage_options.url = database_;
    storage_ = Must(storage::OpenStorage(storage_options));
    documents_ = std::make_unique<DocumentsContext>(*storage_, pool_, options_);
    // What the machine held when it died. SQLite has done that by itself, for a file has one owner.
    Must(storage_->Rescue(Duration(0), Duration(0)));
    storage::WorkerInfo info;
    info.id = "machine";
    info.slots = 1;
    worker_ = Must(storage_->RegisterWorker(info));
  }

  template <class Function>
  void AtWrite(Function write) {
    const bool now = ++writes_ == die_at_;
    if (now && !die_after_) throw Died();
    write();
    if (now) throw Died();
  }

  std::string database_;
  ParserPool& pool_;
  DocumentsContext::Options options_;
  std::unique_ptr<storage::Storage> storage_;
  std::unique_ptr<DocumentsContext> documents_;
  storage::WorkerRef worker_;
  RunId run_ = 0;
  int writes_ = 0, die_at_ = 0, deaths_ = 0;
  bool die_after_ = false;
};

class Machine::JobContext : public Context {
 public:
  JobContext(Machine& machine, const storage::ClaimedJob& claimed) : machine_(machine) {
    job_.id = claimed.id;
    job_.kind = claimed.kind;
    job_.args = claimed.args;
    job_.run_id = claimed.run_id;
    job_.attempt = claimed.attempt;
    job_.max_attempts = claimed.max_attempts;
    report_.id = claimed.id;
    report_.attempt = claimed.attempt;
    report_.token = claimed.token;
  }
  [[nodiscard]] const Job& job() const override { return job_; }
  [[nodiscard]] std::chrono::steady_clock::time_point deadline() const override {
    return std::chrono::steady_clock::time_point::max();
  }
  [[nodiscard]] std::stop_token stop_token() const override { return {}; }
  void log(LogLevel, std::string_view) override {}
  void progress(double, std::string_view) override {}
  void emit(NewJob job) override { report_.emits.push_back(std::move(job)); }
  Result<void> emit_now(std::span<const NewJob> jobs) override {
    Result<void> done;
    machine_.AtWrite([&] {
      auto emitted = machine_.storage_->EmitNow(machine_.worker_, report_.id, report_.attempt, report_.token, jobs);
      if (!emitted) done = fail(emitted.error());
    });
    return done;
  }
  Result<void> complete_in(const std::function<Result<void>(millrace::Transaction&)>& body, Outcome outcome) override {
    Result<void> done;
    machine_.AtWrite([&] {
      done = machine_.storage_->Transact([&](storage::Transaction& transaction) -> Result<void> {
        if (auto written = body(transaction); !written) return written;
        auto accepted = transaction.ReportIn(machine_.worker_, std::span(&Fill(outcome), 1));
        if (!accepted) return fail(accepted.error());
        if (!accepted->at(0)) return fail(ErrorCode::kLeaseLost, "the lease was lost");
        return {};
      });
    });
    completed_ = done.has_value();
    return done;
  }
  void discovery_done() override { report_.discovery_done = true; }

  void Finish(const Outcome& outcome) {
    if (completed_) return;
    machine_.AtWrite([&] { Must(machine_.storage_->ReportOutcomes(machine_.worker_, std::span(&Fill(outcome), 1))); });
  }

 private:
  const storage::Report& Fill(const Outcome& outcome) {
    report_.text = outcome.text;
    const bool last = job_.max_attempts > 0 && job_.attempt >= job_.max_attempts;
    switch (outcome.kind) {
      case Outcome::Kind::kDone:
        report_.verdict = storage::Verdict::kCompleted;
        break;
      case Outcome::Kind::kRetry:
        report_.verdict = last ? storage::Verdict::kDead : storage::Verdict::kRetry;
        break;
      case Outcome::Kind::kSnooze:
        report_.verdict = storage::Verdict::kReleased;
        break;
      case Outcome::Kind::kFatal:
        report_.verdict = storage::Verdict::kDead;
        report_.fatal = true;
        break;
    }
    return report_;
  }
  Machine& machine_;
  Job job_;
  storage::Report report_;
  bool completed_ = false;
};

inline bool Machine::WorkOne() {
  storage::ClaimRequest request;
  request.worker = worker_;
  request.max_jobs = 1;
  auto claimed = Must(storage_->Claim(request));
  if (claimed.jobs.empty()) return false;
  try {
    JobContext context(*this, claimed.jobs[0]);
    const std::string& kind = context.job().kind;
    if (kind == kDiscoverKind) {
      context.Finish(DiscoverDocuments(context, *documents_));
    } else if (kind == kParseKind) {
      ParseArgs args;
      ArgsReader reader(context.job().args);
      read_args(reader, args);
      context.Finish(reader.error() ? Outcome::fatal(*reader.error()) : ParseDocument(args, context, *documents_));
    } else if (kind == kRecordKind) {
      context.Finish(RecordDocuments(context, *documents_));
    } else {
      context.Finish(ReportDocuments(context, *documents_));
    }
  } catch (const Died&) {
    ++deaths_;
    die_at_ = 0;
    Start();
  }
  return true;
}

}  // namespace millrace::documents
