#include "runtime/config/sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace millrace::runtime {
namespace {

using base::YamlMap;
using base::YamlReader;

constexpr std::size_t kMaxName = 200;

// A name of something: not empty, no control characters, at most 200 bytes, not used before.
template <class List>
std::string ReadName(YamlMap& map, std::string_view key, const List& others, std::string_view what) {
  auto value = map.Require(key);
  auto text = value ? value->Text() : std::nullopt;
  if (!text) return "";
  const bool control = std::any_of(text->begin(), text->end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
  if (text->empty() || text->size() > kMaxName || control) {
    value->Fail(fmt::format("a name has 1 to {} bytes and no control characters", kMaxName));
  } else if (std::any_of(others.begin(), others.end(), [&](const auto& other) { return other.name == *text; })) {
    value->Fail(fmt::format("a {} '{}' is already defined above", what, *text));
  }
  return *text;
}

std::string TextOf(YamlMap& map, std::string_view key) {
  auto value = map.Get(key);
  return value ? value->Text().value_or("") : "";
}
bool BooleanOf(YamlMap& map, std::string_view key, bool fallback) {
  auto value = map.Get(key);
  return value ? value->Boolean().value_or(fallback) : fallback;
}
Duration TimeOf(YamlMap& map, std::string_view key) {
  auto value = map.Get(key);
  return value ? value->Time().value_or(Duration(0)) : Duration(0);
}
std::vector<std::string> TextsOf(YamlMap& map, std::string_view key) {
  auto value = map.Get(key);
  return value ? value->Texts() : std::vector<std::string>();
}

void Unsupported(const YamlReader& reader, std::string what) { reader.Fail("unsupported: " + std::move(what)); }

// "50/s", "100/m", "1000/h" as a number per second.
std::optional<double> ReadRate(const YamlReader& reader) {
  const auto text = reader.Scalar();
  if (!text) return std::nullopt;
  double number = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  const std::string_view unit(end, static_cast<std::size_t>(text->data() + text->size() - end));
  const double seconds = unit == "/s" ? 1 : unit == "/m" ? 60 : unit == "/h" ? 3600 : 0;
  if (error != std::errc() || seconds == 0 || !(number > 0) || number > 1e9) {
    reader.Fail(fmt::format("'{}' is not a rate; write 50/s, 100/m or 1000/h", *text));
    return std::nullopt;
  }
  return number / seconds;
}

// retry: 3 (retries), or a map: retries, initial, multiplier, max, jitter.
std::optional<RetryPolicy> ReadRetry(const YamlReader& reader) {
  RetryPolicy policy;
  if (reader.node().kind != base::YamlNode::Kind::kMap) {
    const auto retries = reader.Integer(0, 1'000'000);
    if (!retries) return std::nullopt;
    policy.max_attempts = static_cast<int>(*retries) + 1;
    return policy;
  }
  YamlMap map(reader);
  if (auto value = map.Get("retries")) {
    if (auto retries = value->Integer(0, 1'000'000)) policy.max_attempts = static_cast<int>(*retries) + 1;
  }
  if (auto value = map.Get("initial")) policy.initial = value->Time().value_or(policy.initial);
  if (auto value = map.Get("multiplier")) policy.multiplier = value->Number(1, 1000).value_or(policy.multiplier);
  if (auto value = map.Get("max")) policy.max = value->Time().value_or(policy.max);
  if (auto value = map.Get("jitter")) policy.jitter = value->Number(0, 1).value_or(policy.jitter);
  map.Finish();
  return policy;
}

void ReadOverflow(const YamlReader& reader, QueueOptions& queue) {
  const auto text = reader.Text();
  if (!text) return;
  if (*text == "reject") {
    queue.overflow = Overflow::kReject;
  } else if (*text == "block") {
    queue.overflow = Overflow::kBlock;
  } else if (text->starts_with("spill:")) {
    queue.overflow = Overflow::kSpill;
    if (auto priority = reader.Value(parse_priority(std::string_view{*text}.substr(6)))) queue.spill_to = *priority;
  } else {
    reader.Fail(fmt::format("'{}' is no overflow policy; known: reject, block, spill:<priority>", *text));
  }
}

QueueOptions ReadQueue(YamlMap& map, const std::vector<QueueOptions>& others) {
  QueueOptions queue;
  queue.name = ReadName(map, "name", others, "queue");
  if (auto value = map.Get("capacity"); value && value->Scalar() != "unbounded") {
    queue.capacity = value->Integer(1, INT64_MAX);
  }
  if (auto value = map.Get("overflow")) ReadOverflow(*value, queue);
  if (auto value = map.Get("rate_limit")) queue.rate_limit = ReadRate(*value);
  if (auto value = map.Get("concurrency")) {
    if (auto most = value->Integer(1, 1'000'000)) queue.concurrency = static_cast<int>(*most);
  }
  if (auto value = map.Get("retry")) queue.retry = ReadRetry(*value);
  if (auto value = map.Get("dead_letter_retention"); value && value->Time()) {
    Unsupported(*value, "this version keeps dead letters until 'millrace deadletter purge'; remove the key");
  }
  map.Finish();
  return queue;
}

void ReadFileSource(YamlMap& map, FileSourceConfig& source) {
  if (auto path = map.Require("base_path")) {
    source.base_path = path->Text().value_or("");
    if (source.base_path.empty()) path->Fail("a path must not be empty");
  }
  source.include = TextsOf(map, "include");
  source.exclude = TextsOf(map, "exclude");
  for (std::string& extension : source.extensions = TextsOf(map, "extensions")) {
    if (extension.starts_with('.')) extension.erase(0, 1);
  }
  source.recursive = BooleanOf(map, "recursive", true);
}

// Sources that later versions read: their keys are known and typed.
void ReadOtherSource(YamlMap& map, std::string_view type) {
  constexpr std::array<std::string_view, 3> kHttpTexts = {"sitemap", "user_agent", "bearer_token_env"};
  constexpr std::array<std::string_view, 7> kS3Texts = {"bucket",         "prefix",         "region", "endpoint_url",
                                                        "access_key_env", "secret_key_env", "profile"};
  constexpr std::array<std::string_view, 6> kSqlTexts = {
      "connection", "query", "id_column", "content_column", "timestamp_column", "metadata_column"};
  if (type == "http") {
    TextsOf(map, "urls");
    for (std::string_view key : kHttpTexts) TextOf(map, key);
    if (auto value = map.Get("max_link_depth")) (void)value->Integer(0, 100);
    BooleanOf(map, "follow_links", false);
    TimeOf(map, "delay");
  } else if (type == "s3") {
    for (std::string_view key : kS3Texts) TextOf(map, key);
    BooleanOf(map, "path_style", false);
  } else {
    for (std::string_view key : kSqlTexts) TextOf(map, key);
  }
  TextsOf(map, "include");
  TextsOf(map, "exclude");
}

std::optional<FileSourceConfig> ReadSource(const YamlReader& reader, const std::vector<FileSourceConfig>& others,
                                           const std::string& fallback_name) {
  YamlMap map(reader);
  FileSourceConfig source;
  source.name = fallback_name;
  if (fallback_name.empty() || map.Get("name")) source.name = ReadName(map, "name", others, "source");
  auto type = map.Require("type");
  const std::string name = type ? type->Text().value_or("") : "";
  if (name == "file") {
    ReadFileSource(map, source);
  } else if (name == "http" || name == "s3" || name == "sql") {
    ReadOtherSource(map, name);
    Unsupported(*type, fmt::format("this version reads sources of type file, not {}", name));
  } else {
    if (!name.empty()) type->Fail(fmt::format("unknown source type '{}'; known: file, http, s3, sql", name));
    return std::nullopt;
  }
  map.Finish();
  if (name != "file") return std::nullopt;
  return source;
}

void ReadExec(const YamlReader& reader) {
  YamlMap map(reader);
  if (auto command = map.Require("command"); command && command->Texts().empty())
    command->Fail("needs a program to run");
  TextOf(map, "directory");
  TimeOf(map, "timeout");
  TimeOf(map, "cpu");
  if (auto memory = map.Get("memory")) (void)memory->Bytes();
  map.Get("env");
  map.Finish();
}

void ReadHttp(const YamlReader& reader) {
  YamlMap map(reader);
  if (auto url = map.Require("url")) (void)url->Text();
  TextOf(map, "secret_env");
  TimeOf(map, "timeout");
  map.Get("headers");
  map.Finish();
}

HandlerConfig ReadHandler(const YamlReader& reader, const std::vector<HandlerConfig>& others) {
  YamlMap map(reader);
  HandlerConfig handler;
  if (auto kind = map.Require("kind")) {
    handler.kind = kind->Text().value_or("");
    const bool again = std::any_of(others.begin(), others.end(), [&](const auto& h) { return h.kind == handler.kind; });
    if (handler.kind.empty() || handler.kind.size() > kMaxName) kind->Fail("a kind has 1 to 200 bytes");
    if (again) kind->Fail(fmt::format("a handler of kind '{}' is already defined above", handler.kind));
  }
  if (auto value = map.Get("queue")) handler.queue = value->Text().value_or("");
  if (auto value = map.Get("priority")) {
    if (auto priority = value->Value(parse_priority(value->Scalar().value_or("")))) handler.priority = *priority;
  }
  handler.timeout = TimeOf(map, "timeout");
  if (auto value = map.Get("retry"); value && value->node().kind == base::YamlNode::Kind::kMap) {
    (void)ReadRetry(*value);
    Unsupported(*value, "this version takes a number of retries for a kind; set delays for its queue");
  } else if (value) {
    if (auto retries = value->Integer(0, 1'000'000)) handler.max_attempts = static_cast<int>(*retries) + 1;
  }
  auto exec = map.Get("exec");
  auto http = map.Get("http");
  if (exec) ReadExec(*exec);
  if (http) ReadHttp(*http);
  if (exec && http) http->Fail("a handler is either exec or http; remove one");
  if (exec || http) {
    Unsupported(exec ? *exec : *http,
                fmt::format("this version runs C++ handlers only; the kind '{}' has an {} handler", handler.kind,
                            exec ? "exec" : "http"));
  }
  if (handler.kind.starts_with("documents.")) {
    Unsupported(reader, "this version takes no settings for the pipeline's own kinds here; set them in its stages");
  }
  map.Finish();
  return handler;
}

void CheckStageHandler(const YamlReader& reader, const std::string& name) {
  constexpr std::array<std::string_view, 4> kKnown = {"documents.discover", "documents.parse", "documents.record",
                                                      "documents.report"};
  if (name.empty() || std::find(kKnown.begin(), kKnown.end(), name) != kKnown.end()) return;
  Unsupported(reader,
              fmt::format("this version has no handler '{}' for stages; it has: {}", name, fmt::join(kKnown, ", ")));
}

// The name of a stage that stands before this one; empty when the key is not there.
std::string ReadEarlier(YamlMap& map, std::string_view key, const std::vector<StageConfig>& earlier) {
  auto value = map.Get(key);
  if (!value) return "";
  std::string name = value->Text().value_or("");
  const bool there = std::any_of(earlier.begin(), earlier.end(), [&](const auto& stage) { return stage.name == name; });
  if (!there) value->Fail(fmt::format("no stage '{}' stands before this one", name));
  return name;
}

StageConfig ReadStage(const YamlReader& reader, const std::vector<StageConfig>& earlier) {
  YamlMap map(reader);
  StageConfig stage;
  stage.name = ReadName(map, "name", earlier, "stage");
  auto handler = map.Require("handler");
  if (handler) stage.handler = handler->Text().value_or("");
  stage.from = ReadEarlier(map, "from", earlier);
  stage.after = ReadEarlier(map, "after", earlier);
  stage.leader = BooleanOf(map, "leader", false);
  stage.final_stage = BooleanOf(map, "final", false);
  stage.timeout = TimeOf(map, "timeout");
  if (auto value = map.Get("memory")) stage.memory = value->Bytes().value_or(0);
  if (auto value = map.Get("worker_type")) stage.worker_type = value->Text().value_or("all");
  stage.every = TimeOf(map, "every");
  stage.partition = TextOf(map, "partition");
  stage.browser = BooleanOf(map, "browser", false);
  if (stage.every.count() > 0) Unsupported(reader, "this version has no repeated stages (every)");
  if (!stage.partition.empty()) Unsupported(reader, "this version has no partitioned stages (partition)");
  if (stage.browser) Unsupported(reader, "this version has no browser");
  const bool parses = stage.handler == "documents.parse";
  if (!parses && stage.timeout.count() > 0)
    Unsupported(reader, "this version takes a timeout for documents.parse only");
  if (!parses && stage.memory > 0) Unsupported(reader, "this version takes a memory limit for documents.parse only");
  if (handler) CheckStageHandler(*handler, stage.handler);
  map.Finish();
  return stage;
}

void ReadPipelineSources(const YamlReader& reader, PipelineConfig& pipeline, Sections& out) {
  reader.Items([&](const YamlReader& item) {
    if (item.node().kind == base::YamlNode::Kind::kMap) {
      const std::string name = fmt::format("{}-{}", pipeline.name, pipeline.sources.size() + 1);
      if (auto source = ReadSource(item, out.sources, name)) {
        pipeline.sources.push_back(source->name);
        out.sources.push_back(std::move(*source));
      }
      return;
    }
    const auto name = item.Text();
    if (!name) return;
    const bool there =
        std::any_of(out.sources.begin(), out.sources.end(), [&](const auto& s) { return s.name == *name; });
    if (!there) item.Fail(fmt::format("no source '{}' in content_sources", *name));
    pipeline.sources.push_back(*name);
  });
}

PipelineConfig ReadPipeline(const YamlReader& reader, Sections& out) {
  YamlMap map(reader);
  PipelineConfig pipeline;
  pipeline.name = ReadName(map, "name", out.pipelines, "pipeline");
  if (auto sources = map.Get("sources")) ReadPipelineSources(*sources, pipeline, out);
  if (auto sites = map.Get("sites")) {
    (void)YamlMap(*sites);
    Unsupported(*sites, "this version has no sites pipeline");
  }
  if (auto stages = map.Require("stages")) {
    stages->Items([&](const YamlReader& item) { pipeline.stages.push_back(ReadStage(item, pipeline.stages)); });
  }
  map.Finish();
  return pipeline;
}

}  // namespace

void ReadQueues(const YamlReader& reader, Sections& out) {
  reader.Items([&](const YamlReader& item) {
    YamlMap map(item);
    out.queues.push_back(ReadQueue(map, out.queues));
  });
}

void ReadSources(const YamlReader& reader, Sections& out) {
  reader.Items([&](const YamlReader& item) {
    if (auto source = ReadSource(item, out.sources, "")) out.sources.push_back(std::move(*source));
  });
}

void ReadHandlers(const YamlReader& reader, Sections& out) {
  reader.Items([&](const YamlReader& item) { out.handlers.push_back(ReadHandler(item, out.handlers)); });
}

void ReadPipelines(const YamlReader& reader, Sections& out) {
  reader.Items([&](const YamlReader& item) { out.pipelines.push_back(ReadPipeline(item, out)); });
}

void ReadSchedules(const YamlReader& reader) {
  const bool list = reader.Items([](const YamlReader& item) {
    YamlMap map(item);
    for (std::string_view key : {"name", "kind"}) {
      if (auto value = map.Require(key)) (void)value->Text();
    }
    for (std::string_view key : {"cron", "zone", "catch_up", "queue", "priority"}) TextOf(map, key);
    TimeOf(map, "every");
    if (auto args = map.Get("args")) (void)YamlMap(*args);
    map.Finish();
  });
  if (list && !reader.node().items.empty()) Unsupported(reader, "this version has no schedules");
}

}  // namespace millrace::runtime
