#include "cli/backend.h"

#include <fmt/format.h>

#include <filesystem>
#include <thread>

#include "base/try.h"
#include "cli/silent_owner.h"

namespace millrace::cli {
namespace {

// An owner that does not answer is a command that just began or ends: look again for so long.
constexpr auto kPatience = std::chrono::seconds(5);

}  // namespace

Result<std::unique_ptr<Backend>> Backend::Open(const runtime::Config& config, Intent intent, const std::string& purpose,
                                               Patience patience) {
  auto backend = std::make_unique<Backend>();
  backend->database_ = config.database();
  backend->patience_ = patience;
  const auto configure = intent == Intent::kCreate ? Owner::Configure::kYes : Owner::Configure::kNo;
  const auto for_what = intent == Intent::kLook ? storage::Purpose::kLook : storage::Purpose::kWork;
  if (config.IsPostgres()) {
    MILLRACE_ASSIGN(backend->owner_, Owner::Open(config, purpose, Duration(0), configure));
    return backend;
  }
  std::error_code ignored;
  if (intent != Intent::kCreate && !std::filesystem::exists(config.database(), ignored)) {
    return fail(ErrorCode::kNotFound, fmt::format("there is no database {} (from {})", config.database(),
                                                  config.Get("storage.path").origin.Text()));
  }
  const auto until = std::chrono::steady_clock::now() + kPatience;
  auto pause = std::chrono::milliseconds(10);
  while (true) {
    auto owner = Owner::Open(config, purpose, Duration(0), configure, for_what);
    if (owner) {
      backend->owner_ = std::move(*owner);
      return backend;
    }
    if (owner.error().code != ErrorCode::kOwned) return fail(owner.error());
    const auto reached = backend->Reach();
    if (reached) return backend;
    const ErrorCode code = reached.error().code;
    if (code == ErrorCode::kPermission || code == ErrorCode::kTimeout) return fail(reached.error());
    if (std::chrono::steady_clock::now() + pause > until) return fail(owner.error());
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(200));
  }
}

// Whether the owner listens, and answers what it can answer without the database.
Result<void> Backend::Reach() {
  const auto connect = [&](Duration timeout) {
    http::UnixClient::Options options = PatientOptions(database_, timeout);
    if (!patience_.tell) options.notice = nullptr;
    client_ = std::make_unique<http::UnixClient>(SocketOf(database_), std::move(options));
  };
  connect(patience_.first);
  auto alive = client_->Call({"GET", "/health/live", {}, ""});
  if (!alive) return fail(ExplainSilence(alive.error(), database_, patience_.first));
  connect(patience_.call);
  return {};
}

Result<http::ApiResponse> Backend::Call(const http::ApiRequest& request) {
  if (owner_) return owner_->Handle(request);
  auto response = client_->Call(request);
  if (!response) return fail(ExplainSilence(response.error(), database_, patience_.call));
  return response;
}

bool Backend::OwnsFile() const { return owner_ != nullptr && owner_->storage().Name() == "sqlite"; }

Result<base::json::object> Backend::CallJson(const http::ApiRequest& request) {
  MILLRACE_ASSIGN(const http::ApiResponse response, Call(request));
  if (auto error = http::ErrorOf(response)) return fail(std::move(*error));
  auto body = base::ParseJson(response.body);
  if (!body || !body->is_object())
    return fail(ErrorCode::kInternal, fmt::format("{}: the answer is no JSON object", request.path));
  return std::move(body->get_object());
}

Result<base::json::object> Backend::Get(const std::string& path, std::map<std::string, std::string> query) {
  return CallJson({"GET", path, std::move(query), ""});
}

Result<base::json::object> Backend::Post(const std::string& path, const base::json::object& body) {
  return CallJson({"POST", path, {}, body.empty() ? "" : base::ToJson(body)});
}

void Backend::ServeOthers() {
  // Without it others wait for this command to end, which is no reason to fail.
  if (owner_) (void)owner_->Serve();
}

}  // namespace millrace::cli
