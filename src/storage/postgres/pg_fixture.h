// For the *_pgtest.cc here: a database of the test's own and connections to it, with the engine's schema or without.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "storage/conformance/helpers.h"
#include "storage/postgres/connection.h"
#include "storage/postgres/driver.h"
#include "storage/postgres/listener.h"
#include "storage/postgres/migrate.h"
#include "storage/postgres/test_cluster.h"

namespace millrace::storage::postgres {

// What a listener heard, in order.
class Heard {
 public:
  Listener::Callback Callback() {
    return [this](std::string_view payload) {
      const std::lock_guard lock(mutex_);
      payloads_.emplace_back(payload);
      signal_.notify_all();
    };
  }
  // Waits until so many were heard; fails after a generous while.
  std::vector<std::string> Await(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(signal_.wait_for(lock, std::chrono::seconds(30), [&] { return payloads_.size() >= count; }))
        << "heard only " << payloads_.size() << " of " << count;
    return payloads_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable signal_;
  std::vector<std::string> payloads_;
};

class PgTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = TestCluster::SkipReason(); !reason.empty()) GTEST_SKIP() << reason;
    options_.url = TestCluster::Get().CreateDatabase();
  }

  [[nodiscard]] std::unique_ptr<Connection> Open() const { return OpenWith(options_); }
  [[nodiscard]] static std::unique_ptr<Connection> OpenWith(const ConnectOptions& options) {
    auto connection = Connection::Open(options);
    if (!connection) throw std::runtime_error(connection.error().message);
    return std::move(*connection);
  }
  [[nodiscard]] static Error OpenError(const ConnectOptions& options) {
    auto connection = Connection::Open(options);
    EXPECT_FALSE(connection.has_value()) << "it should not connect";
    return connection ? Error{} : connection.error();
  }
  [[nodiscard]] std::string Database() const { return options_.url.substr(options_.url.rfind('/') + 1); }

  // Of a statement that must work, with one row of one column.
  static std::int64_t Number(Connection& connection, const std::string& sql, const Params& params = {}) {
    auto result = connection.Run({"number", sql}, params);
    if (!result) throw std::runtime_error(result.error().message);
    return result->row(0).integer(0);
  }
  static std::string Text(Connection& connection, const std::string& sql, const Params& params = {}) {
    auto result = connection.Run({"text", sql}, params);
    if (!result) throw std::runtime_error(result.error().message);
    return std::string(result->row(0).text(0));
  }
  static Error RunError(Connection& connection, const std::string& sql, const Params& params = {}) {
    auto result = connection.Run({"test", sql}, params);
    EXPECT_FALSE(result.has_value()) << sql << " should fail";
    return result ? Error{} : result.error();
  }
  static void Execute(Connection& connection, const std::string& sql) {
    auto done = connection.Script(sql);
    if (!done) throw std::runtime_error(done.error().message);
  }
  // Ends another session of this server, and returns when its process is gone.
  static void Terminate(Connection& by, int backend_pid) {
    EXPECT_EQ(Number(by, "SELECT pg_terminate_backend(" + std::to_string(backend_pid) + ", 10000)::int"), 1);
  }

  ConnectOptions options_;
};

// With the engine's schema.
class SchemaTest : public PgTest {
 protected:
  void SetUp() override {
    PgTest::SetUp();
    if (IsSkipped()) return;
    Must(MigrateUp(*Open(), "millrace"));
  }
  [[nodiscard]] std::unique_ptr<Storage> OpenDriver() const {
    StorageOptions options;
    options.url = options_.url;
    return Must(OpenPostgres(options));
  }
  static ClaimRequest RequestOf(const WorkerRef& worker, int most) {
    ClaimRequest request;
    request.worker = worker;
    request.max_jobs = most;
    return request;
  }
};

}  // namespace millrace::storage::postgres
