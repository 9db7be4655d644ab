#include "cli/owner.h"

#include <algorithm>
#include <set>
#include <thread>

#include "cli/document_routes.h"
#include "cli/thread_dump.h"
#include "cli/version.h"
#include "http/metrics_routes.h"
#include "pipelines/documents/pipeline.h"
#include "runtime/client_impl.h"
#include "storage/sqlite/owner_lock.h"

namespace millrace::cli {
namespace {

// Kinds this program has handlers for, and those the configuration names.
std::set<std::string> Kinds(const runtime::Config& config) {
  std::set<std::string> kinds = {std::string(documents::kDiscoverKind), std::string(documents::kParseKind),
                                 std::string(documents::kRecordKind), std::string(documents::kReportKind)};
  for (const runtime::HandlerConfig& handler : config.handlers()) kinds.insert(handler.kind);
  return kinds;
}

// An address that cannot be read is the fault of the command line, or else of the configuration.
Error BlameSource(Error error, const runtime::Config& config) {
  const bool flag = config.Get("storage.url").origin.kind == runtime::OriginKind::kFlag;
  if (config.IsPostgres() && error.code == ErrorCode::kInvalidArgument && !flag) error.code = ErrorCode::kConfig;
  return error;
}

http::QueuesOfTypes QueuesOfTypes(const runtime::Config& config) {
  http::QueuesOfTypes types;
  for (const runtime::PipelineConfig& pipeline : config.pipelines()) {
    for (const runtime::StageConfig& stage : pipeline.stages) {
      if (stage.worker_type != "all") types[stage.worker_type].push_back(stage.handler);
    }
  }
  return types;
}

void AddDebugRoutes(http::Router& router) {
  router.Add("GET", "/api/v1/debug/threads", [](const auto&, const auto&) {
    return http::ApiResponse{200, "text/plain; charset=utf-8", DumpThreads(), {}};
  });
}

}  // namespace

std::string SocketOf(const std::string& database) { return storage::sqlite::FollowLinks(database) + ".sock"; }

Owner::Owner(std::shared_ptr<storage::Storage> storage, StorageOptions options, const runtime::Config& config)
    : storage_(std::move(storage)), options_(std::move(options)) {
  http::ApiOptions api;
  api.version = Version();
  api.kinds = Kinds(config);
  api_ = std::make_unique<http::Api>(*storage_, health_, std::move(api));
  AddDocumentRoutes(api_->router(), *storage_);
  AddDebugRoutes(api_->router());
  http::AddMetricsRoutes(api_->router(), base::Metrics::Process(), *storage_, fleet_, QueuesOfTypes(config));
}

Owner::~Owner() { health_.SetPhase(http::Phase::kShuttingDown); }

Result<std::unique_ptr<Owner>> Owner::Open(const runtime::Config& config, const std::string& purpose, Duration patience,
                                           Configure configure, storage::Purpose for_what) {
  StorageOptions options = config.storage();
  options.configure = configure == Configure::kYes;
  options.owner = purpose;
  const auto until = std::chrono::steady_clock::now() + patience;
  auto pause = std::chrono::milliseconds(5);
  while (true) {
    auto storage = storage::OpenStorage(options, for_what);
    if (storage) {
      return std::unique_ptr<Owner>(
          new Owner(std::shared_ptr<storage::Storage>(std::move(*storage)), std::move(options), config));
    }
    const bool again = storage.error().code == ErrorCode::kOwned && std::chrono::steady_clock::now() + pause < until;
    if (!again) return fail(BlameSource(storage.error(), config));
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(100));
  }
}

Result<void> Owner::Serve() {
  if (storage_->Name() != "sqlite") return {};
  auto server = http::UnixServer::Start(SocketOf(options_.url),
                                        [this](const http::ApiRequest& request) { return Handle(request); });
  if (!server) return fail(server.error());
  server_ = std::move(*server);
  return {};
}

void Owner::WatchFleet(const std::string& type) {
  base::Metrics::Process().SetBuild(Version(), type);
  if (storage_->Name() == "sqlite") fleet_.Watch(*storage_);  // others nobody can ask yet
}

Client Owner::client() const { return Client(std::make_shared<Client::Impl>(Client::Impl{storage_, options_})); }

}  // namespace millrace::cli
