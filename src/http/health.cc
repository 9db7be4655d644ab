#include "http/health.h"

#include <pthread.h>

#include <utility>

#include "base/clock.h"
#include "http/api.h"

namespace millrace::http {
namespace {

base::json::object Common(const Health& health, std::string_view status) {
  return {{"status", status},
          {"uptime_seconds", health.uptime_seconds()},
          {"timestamp", base::FormatTime(base::Clock::System().Now())}};
}

ApiResponse Overall(const Health& health, const std::string& version) {
  const HealthVerdict verdict = health.verdict();
  const bool healthy = verdict.database_error.empty() && verdict.stuck.empty();
  base::json::object body = Common(health, healthy ? "healthy" : "unhealthy");
  body["service"] = "millrace";
  body["version"] = version;
  if (!verdict.database_error.empty()) body["database_error"] = verdict.database_error;
  if (!verdict.stuck.empty()) body["stuck"] = verdict.stuck;
  return JsonResponse(body, healthy ? 200 : 503);
}

ApiResponse Live(const Health& health) {
  const HealthVerdict verdict = health.verdict();
  base::json::object body = Common(health, verdict.stuck.empty() ? "alive" : "stuck");
  if (!verdict.stuck.empty()) body["stuck"] = verdict.stuck;
  return JsonResponse(body, verdict.stuck.empty() ? 200 : 503);
}

ApiResponse Ready(const Health& health) {
  const HealthVerdict verdict = health.verdict();
  const std::string_view reason = verdict.phase == Phase::kShuttingDown ? "shutting_down"
                                  : verdict.phase == Phase::kStarting   ? "service_starting"
                                  : !verdict.database_error.empty()     ? "database_unhealthy"
                                  : !verdict.stuck.empty()              ? "dependencies_not_ready"
                                                                        : "";
  if (reason.empty()) return JsonResponse(Common(health, "ready"));
  base::json::object body = Common(health, "not_ready");
  body["reason"] = reason;
  body["dependencies"] = base::json::object{
      {"database", verdict.database_error.empty() ? "healthy" : base::json::string(verdict.database_error)},
      {"loops", verdict.stuck.empty() ? "healthy" : base::json::string(verdict.stuck)}};
  return JsonResponse(body, 503);
}

}  // namespace

void Health::Watch(storage::Storage& storage, Duration interval, std::function<std::string()> stuck) {
  {
    const std::lock_guard lock(mutex_);
    stuck_ = std::move(stuck);
  }
  Check(storage);
  checker_ = std::jthread([this, &storage, interval](const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "health");
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      changed_.wait_for(lock, stop, interval, [] { return false; });
      if (stop.stop_requested()) return;
      lock.unlock();
      Check(storage);
      lock.lock();
    }
  });
}

void Health::Check(storage::Storage& storage) {
  const auto now = storage.Now();
  const std::lock_guard lock(mutex_);
  verdict_.database_error = now ? "" : now.error().message;
}

void Health::SetPhase(Phase phase) {
  const std::lock_guard lock(mutex_);
  verdict_.phase = phase;
}

HealthVerdict Health::verdict() const {
  const std::lock_guard lock(mutex_);
  HealthVerdict verdict = verdict_;
  if (stuck_) verdict.stuck = stuck_();
  return verdict;
}

double Health::uptime_seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
}

void AddHealthRoutes(Router& router, Health& health, const std::string& version) {
  router.Add("GET", "/health", [&health, version](const auto&, const auto&) { return Overall(health, version); });
  router.Add("GET", "/health/live", [&health](const auto&, const auto&) { return Live(health); });
  router.Add("GET", "/health/ready", [&health](const auto&, const auto&) { return Ready(health); });
}

}  // namespace millrace::http
