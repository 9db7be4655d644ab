#include "runtime/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace millrace::runtime {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class ConfigTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              (std::string("config-") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
    path_ = (folder_ / "m.yaml").string();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Config Load(const std::string& yaml) {
    std::ofstream(path_, std::ios::binary) << yaml;
    inputs_.file = path_;
    return Config::Load(inputs_);
  }
  // Problems without the folder of the file.
  std::vector<std::string> Told(const Config& config) const {
    std::vector<std::string> out;
    for (const base::YamlProblem& problem : config.problems()) {
      std::string text = base::FormatProblem(problem);
      const std::string prefix = folder_.string() + "/";
      for (std::size_t at = text.find(prefix); at != std::string::npos; at = text.find(prefix))
        text.erase(at, prefix.size());
      out.push_back(text);
    }
    return out;
  }

  std::filesystem::path folder_;
  std::string path_;
  ConfigInputs inputs_;
};

TEST_F(ConfigTest, DefaultsAreTheContracts) {
  const Config config = Config::Load({});
  EXPECT_THAT(Told(config), IsEmpty());
  EXPECT_EQ(config.database(), "./millrace.db");
  const StorageOptions storage = config.storage();
  EXPECT_EQ(storage.claim_timeout, std::chrono::seconds(300));
  EXPECT_EQ(storage.max_crashes, 3);
  EXPECT_EQ(storage.max_attempts, std::nullopt);
  EXPECT_THAT(storage.max_attempts_by_priority, ::testing::Each(std::nullopt));
  EXPECT_THAT(storage.capacity, ::testing::Each(std::nullopt));
  const WorkerOptions worker = config.worker();
  EXPECT_EQ(worker.heartbeat_interval, std::chrono::seconds(5));
  EXPECT_EQ(worker.stale_threshold, std::chrono::seconds(30));
  EXPECT_EQ(worker.shutdown_timeout, std::chrono::seconds(30));
  EXPECT_EQ(worker.type, "all");
  EXPECT_EQ(worker.prefetch, -1);
  EXPECT_TRUE(worker.scheduler_enabled);
  EXPECT_THAT(worker.priorities, IsEmpty());
  EXPECT_EQ(config.Get("documents.max_bytes").number, 256ll << 20);
}

TEST_F(ConfigTest, TellsEveryMistakeAtOnceWithFileLineAndKey) {
  const Config config = Load(
      "storage:\n"
      "  path: ./a.db\n"
      "  pth: ./b.db\n"
      "worker:\n"
      "  concurrency: many\n"
      "  concurrency: 4\n"
      "  scheduler_enabled: no\n"
      "work_queue: {claim_timeout: soon, max_crashes: 0}\n"
      "queues:\n"
      "  - {name: mail, capacity: 0, overflow: drop, rate_limit: 5, bogus: 1}\n"
      "  - {name: mail}\n"
      "environment: ${NOT_SET}\n");
  EXPECT_THAT(
      Told(config),
      ::testing::UnorderedElementsAre(
          "m.yaml:6:3: worker.concurrency: stands twice; the first is in line 5",
          HasSubstr("m.yaml:12:14: environment: the environment variable NOT_SET is not set"),
          "m.yaml:10:28: queues[0].capacity: 0 is out of range; it must be from 1 to 9223372036854775807",
          "m.yaml:10:41: queues[0].overflow: 'drop' is no overflow policy; known: reject, block, spill:<priority>",
          "m.yaml:10:59: queues[0].rate_limit: '5' is not a rate; write 50/s, 100/m or 1000/h",
          HasSubstr("m.yaml:10:62: queues[0].bogus: unknown key"),
          "m.yaml:11:12: queues[1].name: a queue 'mail' is already defined above",
          "m.yaml:3:3: storage.pth: unknown key; did you mean 'path'?",
          "m.yaml:5:16: worker.concurrency: expected an integer, found the text 'many'",
          "m.yaml:7:22: worker.scheduler_enabled: expected true or false, found the text 'no'",
          HasSubstr("m.yaml:8:29: work_queue.claim_timeout: 'soon' is not a duration"),
          "m.yaml:8:48: work_queue.max_crashes: 0 is out of range; it must be from 1 to 1000000"));
  const auto& problems = config.problems();
  EXPECT_TRUE(
      std::is_sorted(problems.begin(), problems.end(), [](const auto& a, const auto& b) { return a.line < b.line; }));
  const auto checked = config.Check();
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, ErrorCode::kConfig);
  EXPECT_THAT(checked.error().message, HasSubstr("(and 11 more)"));
}

TEST_F(ConfigTest, FlagBeatsEnvironmentBeatsFileBeatsDefault) {
  const std::string yaml =
      "storage: {path: file.db}\nworker: {shutdown_timeout: 5, concurrency: 3}\nlog: {level: debug}\n";
  EXPECT_EQ(Load(yaml).database(), "file.db");
  EXPECT_EQ(Load(yaml).Get("storage.path").origin.Text(), "file " + path_ + ":1");

  inputs_.environment = {{"DATABASE_URL", "env.db"}, {"SHUTDOWN_TIMEOUT", "7"}, {"LOG_LEVEL", "WARN"}};
  Config config = Load(yaml);
  EXPECT_THAT(Told(config), IsEmpty());
  EXPECT_EQ(config.database(), "env.db");
  EXPECT_EQ(config.Get("storage.path").origin.Text(), "environment DATABASE_URL");
  EXPECT_EQ(config.worker().shutdown_timeout, std::chrono::seconds(7));
  EXPECT_EQ(config.worker().concurrency, 3);
  EXPECT_EQ(config.log(true).level, base::Level::kWarn);

  inputs_.flags = {{"storage.url", "--db", "flag.db"}, {"worker.concurrency", "--concurrency", "9"}};
  config = Load(yaml);
  EXPECT_EQ(config.database(), "flag.db");
  EXPECT_EQ(config.Get("storage.path").origin.Text(), "flag --db");
  EXPECT_EQ(config.worker().concurrency, 9);
  EXPECT_EQ(config.Get("work_queue.max_crashes").origin.Text(), "default");
}

TEST_F(ConfigTest, EveryVariableOfTheContractsSetsItsKey) {
  inputs_.environment = {{"ENVIRONMENT", "production"},
                         {"WORKER_ID", "w1"},
                         {"POD_NAME", "pod-7"},
                         {"WORKER_TYPE", "all"},
                         {"WORKER_PRIORITY_FILTER", "CRITICAL, high"},
                         {"SCHEDULER_ENABLED", "False"},
                         {"STRUCTURED_LOGGING", "true"},
                         {"HEALTH_CHECK_INTERVAL", "10"},
                         {"JOBS_QUEUE_CAPACITY_HIGH", "5000"},
                         {"JOBS_RETRY_MAX_ATTEMPTS_BULK", "2"},
                         {"DB_POOL_MIN_SIZE", ""}};
  const Config config = Config::Load(inputs_);
  EXPECT_THAT(Told(config), IsEmpty());
  EXPECT_THAT(config.warnings(), IsEmpty());
  EXPECT_EQ(config.Get("environment").value, "production");
  const WorkerOptions worker = config.worker();
  EXPECT_EQ(worker.id, "w1");
  EXPECT_THAT(worker.priorities, ElementsAre(Priority::kCritical, Priority::kHigh));
  EXPECT_FALSE(worker.scheduler_enabled);
  EXPECT_TRUE(config.log(true).structured);
  EXPECT_EQ(config.Get("http.health_check_interval").number, 10'000'000);
  const StorageOptions storage = config.storage();
  EXPECT_EQ(storage.capacity[1], 5000);
  EXPECT_EQ(storage.capacity[0], std::nullopt);
  EXPECT_EQ(storage.max_attempts_by_priority[4], 3);
  EXPECT_EQ(storage.max_attempts_by_priority[0], std::nullopt);

  inputs_.environment = {{"POD_NAME", "pod-7"}, {"QUARKUS_SCHEDULER_ENABLED", "false"}};
  EXPECT_EQ(Config::Load(inputs_).worker().id, "pod-7");
  EXPECT_FALSE(Config::Load(inputs_).worker().scheduler_enabled);
}

TEST_F(ConfigTest, BadEnvironmentIsAnErrorThatNamesTheVariable) {
  inputs_.environment = {{"SHUTDOWN_TIMEOUT", "later"},         {"LOG_LEVEL", "loud"},
                         {"WORKER_PRIORITY_FILTER", "urgent"},  {"JOBS_QUEUE_CAPACITY_URGENT", "5"},
                         {"JOBS_RETRY_MAX_ATTEMPTS_LOW", "-1"}, {"WORKER_TYPE", "extraction"}};
  EXPECT_THAT(
      Told(Config::Load(inputs_)),
      ::testing::UnorderedElementsAre(
          HasSubstr("environment variable SHUTDOWN_TIMEOUT: worker.shutdown_timeout: 'later' is not a duration"),
          HasSubstr("environment variable LOG_LEVEL: log.level: 'loud' is not one of: auto, debug"),
          HasSubstr("environment variable WORKER_PRIORITY_FILTER: worker.priorities: unknown priority 'urgent'"),
          HasSubstr("environment variable JOBS_QUEUE_CAPACITY_URGENT: 'URGENT' is no priority"),
          HasSubstr("environment variable JOBS_RETRY_MAX_ATTEMPTS_LOW: work_queue.retries.low: -1 is out of range"),
          HasSubstr("environment variable WORKER_TYPE: worker.type: no stage")));
}

TEST_F(ConfigTest, RetriesBecomeAttempts) {
  const Config config =
      Load("work_queue: {max_retries: 7, retries: {critical: 9}, capacity: {low: 10, bulk: unbounded}}\n");
  EXPECT_THAT(Told(config), IsEmpty());
  EXPECT_EQ(config.storage().max_attempts, 8);
  EXPECT_EQ(config.storage().max_attempts_by_priority[0], 10);
  EXPECT_EQ(config.storage().max_attempts_by_priority[1], std::nullopt);
  EXPECT_EQ(config.storage().capacity[3], 10);
  EXPECT_EQ(config.storage().capacity[4], std::nullopt);
}

TEST_F(ConfigTest, ReadsQueues) {
  const Config config = Load(
      "queues:\n"
      "  - name: reports\n    capacity: 10000\n    overflow: \"spill:bulk\"\n    rate_limit: 120/m\n    concurrency: "
      "20\n"
      "    retry: {retries: 2, initial: 500ms, multiplier: 1.5, max: 1m, jitter: 0}\n"
      "  - {name: mail, overflow: block, retry: 0}\n");
  EXPECT_THAT(Told(config), IsEmpty());
  ASSERT_THAT(config.queues(), SizeIs(2));
  const QueueOptions& reports = config.queues()[0];
  EXPECT_EQ(reports.capacity, 10000);
  EXPECT_EQ(reports.overflow, Overflow::kSpill);
  EXPECT_EQ(reports.spill_to, Priority::kBulk);
  EXPECT_EQ(reports.rate_limit, 2.0);
  EXPECT_EQ(reports.concurrency, 20);
  ASSERT_TRUE(reports.retry);
  EXPECT_EQ(reports.retry->max_attempts, 3);
  EXPECT_EQ(reports.retry->initial, std::chrono::milliseconds(500));
  EXPECT_EQ(reports.retry->jitter, 0);
  EXPECT_EQ(config.queues()[1].overflow, Overflow::kBlock);
  EXPECT_EQ(config.queues()[1].retry->max_attempts, 1);
  EXPECT_EQ(config.storage().queues.size(), 2u);
}

TEST_F(ConfigTest, ReadsDocumentPipelinesAndTheirSources) {
  const Config config = Load(
      "content_sources:\n"
      "  - {name: handbook, type: file, base_path: /srv/handbook, include: [\"**/*.pdf\"], extensions: [.pdf, docx]}\n"
      "pipelines:\n"
      "  - name: documents\n"
      "    sources: [handbook, {type: file, base_path: ./more, recursive: false}]\n"
      "    stages:\n"
      "      - {name: discover, handler: documents.discover, leader: true}\n"
      "      - {name: parse, handler: documents.parse, from: discover, timeout: 10m, memory: 1GiB}\n");
  EXPECT_THAT(Told(config), IsEmpty());
  const PipelineConfig* pipeline = config.FindPipeline("documents");
  ASSERT_NE(pipeline, nullptr);
  EXPECT_THAT(pipeline->sources, ElementsAre("handbook", "documents-2"));
  ASSERT_THAT(pipeline->stages, SizeIs(2));
  EXPECT_TRUE(pipeline->stages[0].leader);
  EXPECT_EQ(pipeline->stages[1].timeout, std::chrono::minutes(10));
  EXPECT_EQ(pipeline->stages[1].memory, 1ll << 30);
  EXPECT_THAT(config.FindSource("handbook")->extensions, ElementsAre("pdf", "docx"));
  EXPECT_FALSE(config.FindSource("documents-2")->recursive);
}

TEST_F(ConfigTest, TellsMistakesInPipelines) {
  const Config config = Load(
      "content_sources:\n  - {name: a, type: ftp}\n  - {name: b, type: file}\n"
      "pipelines:\n  - {name: p, sources: [nowhere], stages: [{name: x, handler: documents.parse, from: y}]}\n  - "
      "{name: q}\n");
  EXPECT_THAT(Told(config), ::testing::UnorderedElementsAre(
                                HasSubstr("content_sources[0].type: unknown source type 'ftp'"),
                                HasSubstr("content_sources[1]: needs the key 'base_path'"),
                                HasSubstr("pipelines[0].sources[0]: no source 'nowhere' in content_sources"),
                                HasSubstr("pipelines[0].stages[0].from: no stage 'y' stands before this one"),
                                HasSubstr("pipelines[1]: needs the key 'stages'")));
}

TEST_F(ConfigTest, FeaturesOfLaterVersionsAreRefusedByName) {
  const Config config = Load(
      "storage: {read_url: 'postgres://replica/db'}\n"
      "http: {port: 8080, tls: {certificate_file: x}}\n"
      "embeddings: {provider: openai}\n"
      "queues:\n  - {name: a, dead_letter_retention: 30d}\n"
      "handlers:\n  - {kind: report, exec: {command: [./r.sh]}}\n  - {kind: notify, http: {url: 'https://x.example'}}\n"
      "schedules:\n  - {name: n, kind: report, cron: '0 2 * * *'}\n"
      "content_sources:\n  - {name: s, type: s3, bucket: b}\n");
  EXPECT_THAT(config.problems(), SizeIs(9));
  for (const base::YamlProblem& problem : config.problems()) EXPECT_THAT(problem.message, HasSubstr("unsupported: "));
  ASSERT_FALSE(config.Check());
  EXPECT_EQ(config.Check().error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(Told(config),
              Contains(HasSubstr("handlers[0].exec: unsupported: this version runs C++ handlers only; the kind "
                                 "'report' has an exec handler")));
  EXPECT_THAT(Told(config), Contains(AllOf(HasSubstr("m.yaml:2: http.port: unsupported"), HasSubstr("TCP server"))));
}

TEST_F(ConfigTest, StagesOfLaterVersionsAreRefusedByName) {
  const Config config = Load(
      "pipelines:\n  - name: p\n    stages:\n"
      "      - {name: discovery, handler: documents.discover, timeout: 5m, memory: 1GiB}\n"
      "      - {name: relate, handler: documents.relate, final: true}\n"
      "      - {name: weekly, handler: documents.report, every: 7d, partition: x, browser: true}\n"
      "handlers:\n  - {kind: documents.parse, timeout: 5m}\n  - {kind: mail, retry: {initial: 5s}}\n");
  EXPECT_THAT(Told(config),
              ::testing::UnorderedElementsAre(
                  HasSubstr("m.yaml:4:9: pipelines[0].stages[0]: unsupported: this version takes a timeout"),
                  HasSubstr("stages[0]: unsupported: this version takes a memory limit"),
                  HasSubstr("stages[1].handler: unsupported: this version has no handler 'documents.relate'"),
                  HasSubstr("stages[2]: unsupported: this version has no repeated stages (every)"),
                  HasSubstr("stages[2]: unsupported: this version has no partitioned stages"),
                  HasSubstr("stages[2]: unsupported: this version has no browser"),
                  HasSubstr("handlers[0]: unsupported: this version takes no settings"),
                  HasSubstr("handlers[1].retry: unsupported: this version takes a number of retries")));
}

TEST_F(ConfigTest, ReadsKindsOfCppHandlers) {
  const Config config = Load(
      "handlers:\n  - {kind: mail.send, queue: mail, priority: high, timeout: 30s, retry: 5}\n  - {kind: other}\n");
  EXPECT_THAT(Told(config), IsEmpty());
  ASSERT_THAT(config.handlers(), SizeIs(2));
  EXPECT_EQ(config.handlers()[0].kind, "mail.send");
  EXPECT_EQ(config.handlers()[0].queue, "mail");
  EXPECT_EQ(config.handlers()[0].priority, Priority::kHigh);
  EXPECT_EQ(config.handlers()[0].timeout, std::chrono::seconds(30));
  EXPECT_EQ(config.handlers()[0].max_attempts, 6);
  EXPECT_EQ(config.handlers()[1].priority, std::nullopt);
}

TEST_F(ConfigTest, TypesOfLaterKeysAreCheckedToo) {
  const Config config = Load(
      "http: {port: 70000}\nsites: {cooldown: never}\ncontent_sources: [{name: s, type: s3, bucket: 5, pre: x}]\n");
  EXPECT_THAT(Told(config), Contains(HasSubstr("http.port: 70000 is out of range")));
  EXPECT_THAT(Told(config), Contains(HasSubstr("sites.cooldown: 'never' is not a duration")));
  EXPECT_THAT(Told(config), Contains(HasSubstr("content_sources[0].bucket: expected a text, found the number '5'")));
  EXPECT_THAT(Told(config), Contains(HasSubstr("content_sources[0].pre: unknown key")));
}

TEST_F(ConfigTest, LaterKeysFromTheEnvironmentAreWarnings) {
  inputs_.environment = {{"HTTP_PORT", "9000"}, {"DB_POOL_MAX_SIZE", "20"}};
  const Config config = Config::Load(inputs_);
  EXPECT_THAT(Told(config), IsEmpty());
  EXPECT_THAT(config.warnings(), ::testing::UnorderedElementsAre(
                                     "HTTP_PORT does nothing: this version has no TCP server",
                                     "storage.max_overflow (environment DB_POOL_MAX_SIZE) does nothing with SQLite"));
  EXPECT_EQ(config.Get("storage.max_overflow").number, 18);
}

TEST_F(ConfigTest, DatabaseAddresses) {
  const auto database = [&](const std::string& text) {
    inputs_.flags = {{"storage.url", "--db", text}};
    return Config::Load(inputs_);
  };
  EXPECT_EQ(database("/var/lib/m.db").database(), "/var/lib/m.db");
  EXPECT_EQ(database("sqlite:///var/lib/m.db").database(), "/var/lib/m.db");
  EXPECT_EQ(database("sqlite:m.db").database(), "m.db");
  for (const char* url :
       {"postgresql://u:hunter2@h/db", "jdbc:postgresql://h/db?password=hunter2", "host=h password=hunter2"}) {
    const Config config = database(url);
    EXPECT_THAT(config.problems(), IsEmpty()) << url;
    EXPECT_TRUE(config.IsPostgres());
    EXPECT_EQ(config.storage().url, url);
    EXPECT_EQ(config.Get("storage.backend").value, "postgresql");
  }
  EXPECT_EQ(database("postgresql://u:hunter2@h/db").database(), "postgresql://h/db");
  EXPECT_THAT(Told(database("mysql://h/db")), ElementsAre(HasSubstr("flag --db: storage.url: is neither a path nor")));
  EXPECT_THAT(Told(database("")), ElementsAre(HasSubstr("names no file")));
}

TEST_F(ConfigTest, APathWithAnEqualsSignIsAPath) {
  for (const char* path : {"d/host=a/m.db", "./host=a.db", "backup dbname=x.db", "hosts=a", "/srv/user = me/m.db"}) {
    inputs_.flags = {{"storage.url", "--db", path}};
    const Config config = Config::Load(inputs_);
    EXPECT_FALSE(config.IsPostgres()) << path;
    EXPECT_EQ(config.database(), path);
  }
  for (const char* text : {"host=h", "dbname = jobs", " user=me dbname=jobs", "service=jobs"}) {
    inputs_.flags = {{"storage.url", "--db", text}};
    EXPECT_TRUE(Config::Load(inputs_).IsPostgres()) << text;
  }
}

TEST_F(ConfigTest, AWorkersIdIsOneLine) {
  for (const char* id : {"'a\tb'", "\"a\\nb\"", "\"\\e[2J\""}) {
    EXPECT_THAT(Told(Load(std::string("worker: {id: ") + id + "}\n")),
                ElementsAre(HasSubstr("worker.id: holds a newline, another control character")))
        << id;
  }
  inputs_.flags = {{"worker.id", "--worker-id", "a\nb"}};
  EXPECT_THAT(Told(Config::Load(inputs_)), ElementsAre(HasSubstr("flag --worker-id: worker.id: holds a newline")));
}

TEST_F(ConfigTest, APostgresIsPutTogetherFromItsParts) {
  inputs_.environment = {{"PGPASS", "hunter2"}};
  const Config config = Load(
      "processing: {mode: distributed}\n"
      "storage: {backend: postgresql, host: db.example, port: 6000, database: jobs, user: w, password_env: PGPASS}\n");
  EXPECT_THAT(config.problems(), IsEmpty());
  EXPECT_EQ(config.database(), "postgresql://db.example:6000/jobs");
  EXPECT_EQ(config.storage().url, "host='db.example' port='6000' dbname='jobs' sslmode='prefer' user='w'");
  EXPECT_EQ(config.storage().password, "hunter2");
  EXPECT_THAT(config.ShowYaml(), Not(HasSubstr("hunter2")));
}

TEST_F(ConfigTest, TellsWhatAPostgresLacks) {
  EXPECT_THAT(Told(Load("storage: {backend: postgresql, host: h}\n")),
              ElementsAre(HasSubstr("storage.backend: is postgresql: give storage.url, or storage.host and")));
  EXPECT_THAT(Told(Load("storage: {backend: postgresql, host: h, database: d, password_env: NOT_THERE}\n")),
              ElementsAre(HasSubstr("the environment variable NOT_THERE is not set")));
  EXPECT_THAT(Told(Load("storage: {backend: postgresql, host: h, database: d, password_file: /not/there}\n")),
              ElementsAre(HasSubstr("cannot read a line from /not/there: No such file")));
  EXPECT_THAT(Told(Load("storage: {backend: sqlite, url: 'postgres://h/d'}\n")),
              ElementsAre(HasSubstr("is sqlite, but storage.url names PostgreSQL")));
  EXPECT_THAT(Told(Load("processing: {mode: distributed}\n")), ElementsAre(HasSubstr("distributed needs PostgreSQL")));
}

TEST_F(ConfigTest, AFlagsFileWinsOverAPostgresOfTheFile) {
  inputs_.flags = {{"storage.url", "--db", "local.db"}};
  const Config config = Load("storage: {backend: postgresql, host: h, database: d}\n");
  EXPECT_FALSE(config.IsPostgres());
  EXPECT_EQ(config.database(), "local.db");
}

TEST_F(ConfigTest, ShowsEveryValueWithItsOriginAndNoSecret) {
  inputs_.environment = {{"DB_PASSWORD", "hunter2"}, {"LOG_LEVEL", "debug"}, {"HOOK", "hunter3"}};
  const Config config = Load(
      "storage: {path: a.db}\n"
      "http: {token: hunter4}\n"
      "embeddings: {url: 'https://user:hunter5@host/v1?api_key=hunter6&x=1'}\n"
      "handlers:\n  - kind: k\n    http: {url: 'https://u:hunter7@h/', headers: {x-api_key: hunter8, token: "
      "'${HOOK}'}}\n");
  const std::string yaml = config.ShowYaml();
  const std::string json = base::ToJson(config.ShowJson());
  for (const std::string& text : {yaml, json}) EXPECT_THAT(text, Not(HasSubstr("hunter")));
  EXPECT_THAT(yaml, HasSubstr("  path: a.db"));
  EXPECT_THAT(yaml, HasSubstr("# file " + path_ + ":1\n"));
  EXPECT_THAT(yaml, HasSubstr("# environment LOG_LEVEL"));
  EXPECT_THAT(yaml, HasSubstr("  token: \"[redacted]\""));
  EXPECT_THAT(json, HasSubstr(R"({"key":"storage.password","value":"[redacted]","origin":"environment DB_PASSWORD"})"));
  EXPECT_THAT(yaml, HasSubstr("https://host/v1?x=1"));
}

TEST_F(ConfigTest, WhatItShowsCanBeReadAgain) {
  inputs_.file.reset();
  const std::string shown =
      Load("queues:\n  - {name: 'a: b', capacity: 5, retry: {retries: 1}}\nworker: {priorities: [critical, high]}\n")
          .ShowYaml();
  const Config again = Load(shown);
  EXPECT_THAT(Told(again), IsEmpty());
  ASSERT_THAT(again.queues(), SizeIs(1));
  EXPECT_EQ(again.queues()[0].name, "a: b");
  EXPECT_EQ(again.worker().priorities.size(), 2u);
}

TEST_F(ConfigTest, FilesAreFoundInOrder) {
  std::ofstream(folder_ / "one.yaml") << "environment: one\n";
  std::ofstream(folder_ / "two.yaml") << "environment: two\n";
  inputs_.environment = {{"GO_DOC_GO_CONFIG_PATH", (folder_ / "two.yaml").string()}};
  EXPECT_EQ(Config::Load(inputs_).Get("environment").value, "two");
  inputs_.environment["MILLRACE_CONFIG"] = (folder_ / "one.yaml").string();
  EXPECT_EQ(Config::Load(inputs_).Get("environment").value, "one");
  inputs_.file = (folder_ / "two.yaml").string();
  EXPECT_EQ(Config::Load(inputs_).Get("environment").value, "two");
  inputs_.file = (folder_ / "none.yaml").string();
  EXPECT_THAT(Told(Config::Load(inputs_)),
              ElementsAre("none.yaml: cannot be read: No such file or directory (named by flag --config)"));
  inputs_.file = folder_.string();
  EXPECT_THAT(Config::Load(inputs_).Check().error().message, HasSubstr("is a folder"));
}

TEST_F(ConfigTest, StaleThresholdMustOutlastTheHeartbeat) {
  EXPECT_THAT(Told(Load("work_queue: {heartbeat_interval: 60}\n")),
              ElementsAre("m.yaml:1: work_queue.heartbeat_interval: stale_threshold (30s) must be longer than "
                          "heartbeat_interval (1m)"));
}

}  // namespace
}  // namespace millrace::runtime
