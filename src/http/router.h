// Which function answers which method and path.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "http/message.h"

namespace millrace::http {

// The decoded values of a pattern's {names}.
using PathValues = std::map<std::string, std::string>;
using Endpoint = std::function<ApiResponse(const ApiRequest&, const PathValues&)>;

// Filled before it serves; afterwards Handle may be called from any thread.
class Router {
 public:
  // A pattern such as "/api/v1/jobs/{id}". Where several match, the first one added is taken.
  void Add(std::string method, std::string pattern, Endpoint endpoint);
  // Never throws: an exception of an endpoint is a 500. An unknown path is a 404, an unknown method of a known one a
  // 405.
  [[nodiscard]] ApiResponse Handle(const ApiRequest& request) const;

 private:
  struct Route {
    std::string method;
    std::vector<std::string> segments;
    Endpoint endpoint;
  };
  std::vector<Route> routes_;
};

}  // namespace millrace::http
