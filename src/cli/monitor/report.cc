#include "cli/monitor/report.h"

#include <cmath>

namespace millrace::cli::monitor {
namespace {

namespace json = base::json;

// In thousandths; whole numbers as integers: the library writes 0.0 as 0E0.
json::value Number(double number) {
  const double rounded = std::round(number * 1000) / 1000;
  const auto whole = static_cast<std::int64_t>(rounded);
  return static_cast<double>(whole) == rounded ? json::value(whole) : json::value(rounded);
}

json::value OrNull(const std::optional<double>& number) { return number ? Number(*number) : json::value(nullptr); }

json::array Queues(const Look& look) {
  json::array out = look.answer.at("queues").as_array();
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i].as_object()["oldest_available_seconds"] = OrNull(look.overview.queues[i].oldest);
  return out;
}

json::array Workers(const Look& look) {
  json::array out = look.answer.at("workers").as_array();
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i].as_object()["heartbeat_age_seconds"] = Number(look.overview.workers[i].heartbeat_age);
    out[i].as_object()["silent"] = look.overview.workers[i].state == "silent";
  }
  return out;
}

json::array Runs(const Look& look) {
  json::array out = look.answer.at("runs").as_array();
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i].as_object().erase("spec");
    out[i].as_object()["progress"] = OrNull(look.overview.runs[i].Progress());
  }
  return out;
}

json::object Totals(const Counts& counts) {
  return {{"waiting", counts.waiting}, {"scheduled", counts.scheduled}, {"available", counts.available},
          {"running", counts.running}, {"retryable", counts.retryable}, {"completed", counts.completed},
          {"dead", counts.dead},       {"backlog", counts.Depth()}};
}

void AddFigures(const View& view, const Look& look, json::object& out) {
  json::array reasons;
  json::array alerts;
  for (const DeadReason& reason : look.dead) reasons.push_back({{"reason", reason.reason}, {"count", reason.count}});
  for (const Alert& alert : Alerts(look.overview, view.history)) {
    alerts.push_back(
        {{"severity", alert.severity == Severity::kCritical ? "critical" : "warning"}, {"text", alert.text}});
  }
  out["time"] = look.answer.at("now");
  out["throughput"] = {{"completed_per_second", OrNull(view.history.CompletedPerSecond())},
                       {"failed_per_second", OrNull(view.history.FailedPerSecond())}};
  out["totals"] = Totals(look.overview.total);
  out["alerts"] = std::move(alerts);
  out["queues"] = Queues(look);
  out["workers"] = Workers(look);
  out["runs"] = Runs(look);
  out["dead"] = {{"total", look.overview.total.dead}, {"by_reason", std::move(reasons)}};
}

}  // namespace

json::object ReportJson(const View& view, const Look* look) {
  json::object out;
  out["database"] = view.database;
  out["stale"] = look == nullptr || !view.trouble.empty();
  out["error"] = view.trouble.empty() ? json::value(nullptr) : json::value(view.trouble);
  if (look != nullptr) AddFigures(view, *look, out);
  return out;
}

}  // namespace millrace::cli::monitor
