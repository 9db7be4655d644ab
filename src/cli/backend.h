// How a command reaches the API: in this process on PostgreSQL, or when nobody owns the file; else through the owner's
// socket.
#pragma once

#include <memory>
#include <string>

#include "cli/owner.h"
#include "http/unix_client.h"

namespace millrace::cli {

// What a command is for. One that looks needs a file it may read, or the reader's role; one that changes writes what it
// is told to; one that creates may make a new database, and writes the configuration's queues.
enum class Intent { kLook, kChange, kCreate };

// How long an owner that does not answer is waited for.
struct Patience {
  Duration first = std::chrono::seconds(10);  // for its first sign of life
  Duration call = std::chrono::seconds(60);   // for the answer to one call
  bool tell = true;                           // whether standard error says after two seconds who is waited for
};

class Backend {
 public:
  // kNotFound when there is no such file and it may not be made; else fails as Owner::Open and UnixClient::Call.
  // `purpose` as for Owner::Open. kTimeout: the owner does not answer; the message says which process it is.
  static Result<std::unique_ptr<Backend>> Open(const runtime::Config& config, Intent intent, const std::string& purpose,
                                               Patience patience = {});

  // The JSON of a successful answer, or the error the answer stands for.
  Result<base::json::object> Get(const std::string& path, std::map<std::string, std::string> query = {});
  Result<base::json::object> Post(const std::string& path, const base::json::object& body = {});
  // Any answer.
  Result<http::ApiResponse> Call(const http::ApiRequest& request);

  // When this process is the owner: lets other commands reach it meanwhile, for one that takes long.
  void ServeOthers();
  // Whether this process has a file open itself, and so keeps others out of it.
  [[nodiscard]] bool OwnsFile() const;

 private:
  Result<base::json::object> CallJson(const http::ApiRequest& request);
  std::unique_ptr<Owner> owner_;
  Result<void> Reach();
  std::string database_;
  Patience patience_;
  std::unique_ptr<http::UnixClient> client_;
};

}  // namespace millrace::cli
