#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "base/clock.h"
#include "base/try.h"
#include "base/utf8.h"
#include "cli/backend.h"
#include "cli/checks.h"
#include "cli/cli.h"
#include "engine/validate.h"
#include "http/views.h"

namespace millrace::cli {
namespace {

namespace json = base::json;

constexpr std::size_t kBatchJobs = 1000;
constexpr std::size_t kBatchBytes = 8 << 20;
constexpr std::size_t kLineBytes = 2 << 20;
constexpr std::size_t kRememberedLines = 100'000;  // that later lines may wait for

struct EnqueueOptions {
  std::string kind, args, queue, priority, at, in, partition, unique, timeout, file, when;
  std::vector<std::int64_t> after;
  int max_attempts = 0;
  std::vector<std::string> tags;
  bool any_kind = false;
};

// What the flags say about a job; members a line of a file has win.
json::object FlagMembers(const EnqueueOptions& options) {
  json::object job;
  const auto set = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) job[name] = value;
  };
  set("kind", options.kind);
  set("queue", options.queue);
  set("priority", options.priority);
  set("run_at", options.at);
  set("delay", options.in);
  set("partition_key", options.partition);
  set("unique_key", options.unique);
  set("timeout", options.timeout);
  if (options.max_attempts != 0) job["max_attempts"] = options.max_attempts;
  if (!options.tags.empty()) job["tags"] = json::array(options.tags.begin(), options.tags.end());
  if (!options.after.empty()) job["after"] = json::array(options.after.begin(), options.after.end());
  set("when", options.when);
  return job;
}

// Adds what the configuration says of the job's kind, where the job says nothing itself. Whether it says anything.
bool AddKindSettings(const runtime::Config& config, json::object& job) {
  const std::string kind = Field(job, "kind");
  for (const runtime::HandlerConfig& handler : config.handlers()) {
    if (handler.kind != kind) continue;
    const auto set = [&](std::string_view name, bool said, const json::value& value) {
      if (said && !job.contains(name)) job[name] = value;
    };
    set("queue", !handler.queue.empty(), json::value(handler.queue));
    set("priority", handler.priority.has_value(),
        json::value(priority_name(handler.priority.value_or(Priority::kDefault))));
    set("timeout", handler.timeout.count() > 0, json::value(base::FormatDuration(handler.timeout)));
    set("max_attempts", handler.max_attempts > 0, json::value(handler.max_attempts));
    return true;
  }
  return false;
}

// Reads lines of a bounded length; a longer one is an error, not memory.
class LineReader {
 public:
  static Result<std::unique_ptr<LineReader>> Open(const std::string& name) {
    auto reader = std::make_unique<LineReader>();
    if (name == "-") {
      reader->in_ = &std::cin;
      return reader;
    }
    std::error_code ignored;
    if (std::filesystem::is_directory(name, ignored))
      return fail(ErrorCode::kInvalidArgument, fmt::format("{}: is a directory; a file of JSON Lines is needed", name));
    reader->file_.open(name, std::ios::binary);
    if (!reader->file_ || reader->file_.peek() == std::ifstream::traits_type::eof()) {
      const bool empty = reader->file_.is_open() && errno == 0;
      if (!empty && !reader->file_.is_open()) {
        return fail(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                    fmt::format("{}: {}", name, std::strerror(errno)));
      }
      reader->file_.clear();
    }
    reader->in_ = &reader->file_;
    return reader;
  }

  // False at the end. `line` is without its end.
  Result<bool> Next(std::string& line) {
    line.clear();
    ++number_;
    std::streambuf& buffer = *in_->rdbuf();
    int c = 0;
    while ((c = buffer.sbumpc()) != std::char_traits<char>::eof()) {
      if (c == '\n') break;
      if (line.size() >= kLineBytes)
        return fail(ErrorCode::kLimitExceeded, fmt::format("is longer than {} bytes", kLineBytes));
      line += static_cast<char>(c);
    }
    if (!line.empty() && line.back() == '\r') line.pop_back();
    return c != std::char_traits<char>::eof() || !line.empty();
  }
  [[nodiscard]] std::int64_t number() const { return number_; }

 private:
  std::ifstream file_;
  std::istream* in_ = nullptr;
  std::int64_t number_ = 0;
};

// Sends a file's jobs in batches, each all or none.
class FileEnqueue {
 public:
  FileEnqueue(Backend& backend, const EnqueueOptions& options, const runtime::Config& config)
      : backend_(backend),
        options_(options),
        config_(config),
        defaults_(FlagMembers(options)),
        name_(options.file == "-" ? "standard input" : options.file) {}

  Result<void> Run() {
    MILLRACE_ASSIGN(const auto reader, LineReader::Open(options_.file));
    std::string line;
    while (true) {
      auto more = reader->Next(line);
      line_ = reader->number();
      if (!more)
        return fail(more.error().code, fmt::format("{}:{}: {}", name_, reader->number(), more.error().message));
      if (!*more) break;
      if (line.find_first_not_of(" \t") == std::string::npos) continue;
      MILLRACE_TRY(Add(line, reader->number()));
    }
    return Send();
  }
  [[nodiscard]] std::int64_t enqueued() const { return enqueued_; }
  [[nodiscard]] std::int64_t duplicates() const { return duplicates_; }
  // The first line whose job is not known to be in.
  [[nodiscard]] std::int64_t next_line() const { return lines_.empty() ? line_ : lines_.front(); }
  // The answer to the batch that begins there was lost: its jobs may be in.
  [[nodiscard]] bool in_doubt() const { return in_doubt_; }

 private:
  Result<void> Add(const std::string& line, std::int64_t number) {
    const std::string place = fmt::format("{}:{}", name_, number);
    auto value = base::ParseJson(line);
    if (!value) return fail(ErrorCode::kInvalidArgument, fmt::format("{}: not JSON: {}", place, value.error().message));
    if (!value->is_object()) return fail(ErrorCode::kInvalidArgument, fmt::format("{}: must be a JSON object", place));
    json::object& job = value->get_object();
    if (job.contains("after_in_batch"))
      return fail(ErrorCode::kInvalidArgument, fmt::format("{}: in a file after_lines names earlier lines", place));
    // Before after_lines is read, which counts places within the batch.
    if (!batch_.empty() && bytes_ + line.size() > kBatchBytes) MILLRACE_TRY(Send());
    for (const auto& member : defaults_) {
      if (!job.contains(member.key())) job[member.key()] = member.value();
    }
    if (auto linked = LinkLines(job, number); !linked)
      return fail(linked.error().code, fmt::format("{}: after_lines: {}", place, linked.error().message));
    const bool known = AddKindSettings(config_, job);
    if (auto read = http::ReadNewJob(*value, place); !read) return fail(read.error());
    all_known_ = all_known_ && known;
    bytes_ += line.size();
    batch_.push_back(std::move(*value));
    lines_.push_back(number);
    return batch_.size() >= kBatchJobs ? Send() : Result<void>();
  }

  // Turns after_lines, the numbers of earlier lines of the file, into what the engine takes: places in the batch that
  // is being gathered, or ids of jobs sent before.
  Result<void> LinkLines(json::object& job, std::int64_t number) {
    const auto* given = job.if_contains("after_lines");
    if (given == nullptr) return {};
    const auto bad = [](std::string_view what) { return fail(ErrorCode::kInvalidArgument, std::string(what)); };
    if (!given->is_array()) return bad("must be a list of line numbers, from 1");
    json::array ids;
    if (const auto* after = job.if_contains("after"); after != nullptr && after->is_array()) ids = after->get_array();
    json::array places;
    for (const json::value& value : given->get_array()) {
      if (!value.is_int64() || value.get_int64() < 1 || value.get_int64() >= number)
        return bad("must be a list of numbers of earlier lines, from 1");
      const std::int64_t line = value.get_int64();
      const auto in_batch = std::lower_bound(lines_.begin(), lines_.end(), line);
      const auto sent = std::lower_bound(sent_.begin(), sent_.end(), std::pair(line, JobId{0}));
      if (in_batch != lines_.end() && *in_batch == line) {
        places.push_back(in_batch - lines_.begin());
      } else if (sent != sent_.end() && sent->first == line) {
        ids.push_back(sent->second);
      } else {
        return bad(fmt::format("line {} has no job, or stands more than {} jobs before", line, kRememberedLines));
      }
    }
    job.erase("after_lines");
    if (!ids.empty()) job["after"] = std::move(ids);
    if (!places.empty()) job["after_in_batch"] = std::move(places);
    return {};
  }

  Result<void> Send() {
    if (batch_.empty()) return {};
    json::object body{{"jobs", std::move(batch_)}, {"any_kind", options_.any_kind || all_known_}};
    in_doubt_ = true;
    MILLRACE_ASSIGN(const http::ApiResponse response, backend_.Call({"POST", "/api/v1/jobs", {}, base::ToJson(body)}));
    auto answer = base::ParseJson(response.body);
    if (auto error = http::ErrorOf(response)) {
      in_doubt_ = error->code == ErrorCode::kDatabaseUnavailable || error->code == ErrorCode::kTimeout;
      return fail(error->code, PlaceOf(answer) + error->message);
    }
    in_doubt_ = false;
    if (!answer || !answer->is_object()) return fail(ErrorCode::kInternal, "the answer is no JSON object");
    std::size_t place = 0;
    for (const json::value& job : answer->get_object().at("jobs").as_array()) {
      ++(job.as_object().at("duplicate").as_bool() ? duplicates_ : enqueued_);
      sent_.emplace_back(lines_.at(place++), job.as_object().at("id").as_int64());
    }
    while (sent_.size() > kRememberedLines) sent_.pop_front();
    batch_ = json::array();
    lines_.clear();
    bytes_ = 0;
    all_known_ = true;
    return {};
  }

  // The line an answer's "job" (index in the batch) stands in, else the batch's lines.
  [[nodiscard]] std::string PlaceOf(const Result<json::value>& answer) const {
    const auto* index = answer && answer->is_object() ? answer->get_object().if_contains("job") : nullptr;
    if (index != nullptr && index->is_int64() && static_cast<std::size_t>(index->get_int64()) < lines_.size()) {
      return fmt::format("{}:{}: ", name_, lines_[static_cast<std::size_t>(index->get_int64())]);
    }
    return fmt::format("{}:{}-{}: ", name_, lines_.front(), lines_.back());
  }

  Backend& backend_;
  const EnqueueOptions& options_;
  const runtime::Config& config_;
  const json::object defaults_;
  const std::string name_;
  bool all_known_ = true;  // the configuration names the kind of every job of the batch
  json::array batch_;
  std::vector<std::int64_t> lines_;
  std::deque<std::pair<std::int64_t, JobId>> sent_;  // the latest lines, and their jobs
  std::size_t bytes_ = 0;
  std::int64_t line_ = 1;
  bool in_doubt_ = false;
  std::int64_t enqueued_ = 0, duplicates_ = 0;
};

int EnqueueFile(const Cli& cli, const EnqueueOptions& options, const runtime::Config& config, Backend& backend) {
  backend.ServeOthers();
  FileEnqueue work(backend, options, config);
  const auto done = work.Run();
  if (cli.json) {
    json::object body{{"enqueued", work.enqueued()}, {"duplicates", work.duplicates()}};
    if (!done) body["error"] = done.error().message;
    PrintJson(body);
  } else {
    Print(
        fmt::format("enqueued {} jobs{}\n", Grouped(work.enqueued()),
                    work.duplicates() == 0 ? "" : fmt::format("; {} were there already", Grouped(work.duplicates()))));
  }
  if (done) return kOk;
  const bool some = work.enqueued() + work.duplicates() > 0;
  std::string next = some
                         ? fmt::format("mend it and send the rest, from line {}: all before it is in", work.next_line())
                         : "mend it and send the file again: nothing of it was enqueued";
  if (work.in_doubt()) {
    next =
        fmt::format("millrace jobs list: the answer about the jobs from line {} on was lost, and they may be in or not",
                    work.next_line());
  }
  return PrintError(done.error().message, next, some ? kPartial : kFailed);
}

// The job as the command line and the configuration say it. kInvalidArgument for what no database would take.
Result<json::object> ReadJob(const EnqueueOptions& options, const runtime::Config& config, json::value args) {
  json::object job = FlagMembers(options);
  job["args"] = std::move(args);
  const bool known = AddKindSettings(config, job);
  MILLRACE_ASSIGN(const NewJob read, http::ReadNewJob(job, ""));
  MILLRACE_TRY(engine::ValidateNewJobs({&read, 1}));
  job["any_kind"] = options.any_kind || known;
  return job;
}

int EnqueueOne(const Cli& cli, const json::object& job, Backend& backend) {
  const auto answer = backend.Post("/api/v1/jobs", job);
  // Well formed as it was, it does not fit what is in the database.
  if (!answer && answer.error().code == ErrorCode::kInvalidArgument)
    return PrintError(answer.error().message, "millrace jobs list");
  if (!answer) return PrintError(answer.error());
  if (cli.json) {
    PrintJson(*answer);
    return kOk;
  }
  const json::object& enqueued = answer->at("jobs").as_array().at(0).as_object();
  if (enqueued.at("duplicate").as_bool()) {
    Print(fmt::format("job {} has this unique key and is not finished; nothing was enqueued\n", Field(enqueued, "id")));
  } else {
    Print(fmt::format("enqueued job {}\n", Field(enqueued, "id")));
  }
  return kOk;
}

int Enqueue(const Cli& cli, const EnqueueOptions& options) {
  const std::string help = "millrace enqueue --help";
  if (options.kind.empty() && options.file.empty()) return PrintError("enqueue: which KIND?", help, kUsage);
  if (!options.args.empty() && !options.file.empty()) {
    return PrintError("enqueue: args stand in the lines of --file; remove ARGS-JSON", help, kUsage);
  }
  json::value args = json::object();
  if (!options.args.empty()) {
    auto parsed = base::ParseJson(options.args);
    if (!parsed) return PrintError(fmt::format("args: not JSON: {}", parsed.error().message), help, kUsage);
    if (!parsed->is_object())
      return PrintError("args: must be a JSON object, such as '{\"to\": \"ada\"}'", help, kUsage);
    args = std::move(*parsed);
  }
  if (!options.when.empty() && options.after.empty() && options.file.empty())
    return PrintError("--when says when a job runs that waits for others: name them with --after", help, kUsage);
  if (!options.at.empty() && !options.in.empty()) return PrintError("--at and --in exclude each other", help, kUsage);
  for (const auto& [what, text] : {std::pair("KIND", options.kind), std::pair("--queue", options.queue),
                                   std::pair("--partition", options.partition), std::pair("--unique", options.unique),
                                   std::pair("--tag", fmt::format("{}", fmt::join(options.tags, " ")))}) {
    if (!base::IsCleanUtf8(text))
      return PrintError(fmt::format("{}: holds bytes that are no UTF-8", what), help, kUsage);
  }
  const auto config = cli.CheckedConfig();
  if (!config) return PrintError(config.error());
  const bool one = options.file.empty();
  const auto job = one ? ReadJob(options, *config, std::move(args)) : json::object();
  if (!job) return PrintError(job.error());
  auto backend = Backend::Open(*config, Intent::kCreate, "millrace enqueue");
  if (!backend) return PrintError(backend.error());
  return one ? EnqueueOne(cli, *job, **backend) : EnqueueFile(cli, options, *config, **backend);
}

}  // namespace

void AddEnqueueCommand(CLI::App& app, Cli& cli) {
  auto options = std::make_shared<EnqueueOptions>();
  CLI::App* command = AddCommand(
      app, cli, "enqueue", "Enqueue a job, or many from a file",
      "  millrace enqueue greet '{\"name\": \"Ada\"}' --priority high --in 5m\n"
      "  millrace enqueue report.refresh --unique report-7 --queue reports\n"
      "  millrace enqueue --file jobs.jsonl           one {\"kind\": .., \"args\": {..}} a line; all or none per 1000\n"
      "  generate | millrace enqueue mail --file -    a kind for the lines that name none\n"
      "  millrace enqueue report.send --after 41,42 --when finished\n"
      "In a file, \"after_lines\": [1, 2] waits for the jobs of these lines above.\n",
      Json::kYes, [&cli, options] { return Enqueue(cli, *options); });
  command->add_option("KIND", options->kind, "Names the handler");
  command->add_option("ARGS-JSON", options->args, "A JSON object (default {})");
  command->add_option("--queue", options->queue, "The queue (default: default)");
  command->add_option("--priority", options->priority, "critical, high, default, low or bulk");
  command->add_option("--at", options->at, "Not before this time, such as 2026-01-31T09:00:00Z");
  command->add_option("--in", options->in, "Not before so long from now, such as 90s, 5m, 2h");
  command->add_option("--partition", options->partition, "Only one worker at a time holds jobs of this key");
  command->add_option("--unique", options->unique, "Only one unfinished job may have this key");
  command->add_option("--max-attempts", options->max_attempts, "Attempts, the first one included")
      ->check(CLI::Range(1, 1'000'000));
  command->add_option("--timeout", options->timeout, "Of one attempt, such as 30s");
  command->add_option("--after", options->after, "Wait for the jobs with these ids")->delimiter(',')->check(IsId());
  command->add_option("--when", options->when, "Run when all of them succeeded, if one failed, or when all finished")
      ->check(CLI::IsMember({"succeeded", "failed", "finished"}));
  command->add_option("--tag", options->tags, "A tag for people and filters; may be given again");
  command->add_option("--file", options->file, "JSON Lines; - is standard input");
  command->add_flag("--any-kind", options->any_kind, "Also for a kind no worker has handled yet");
}

}  // namespace millrace::cli
