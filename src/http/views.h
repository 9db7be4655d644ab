// Jobs, queues, workers and runs as the JSON the API answers with; and reading what requests say.
#pragma once

#include <string>
#include <vector>

#include "http/message.h"
#include "storage/storage.h"

namespace millrace::http {

base::json::object JobJson(const Job& job);
base::json::object AttemptJson(const Attempt& attempt);
base::json::object QueueJson(const storage::QueueRow& queue);
// With the scopes, of `leaders`, that it leads.
base::json::object WorkerJson(const storage::WorkerRow& worker, std::span<const storage::Leadership> leaders);
base::json::object RunJson(const storage::RunRow& run);
// JSON text as a value; text that is no JSON as a string.
base::json::value ParsedOrText(const std::string& text);

// Reads one job of an enqueue request. kInvalidArgument names the member: "jobs[3].priority: ...". Times: "run_at" (RFC
// 3339), "delay" and "timeout" (seconds, or text such as "5m").
Result<NewJob> ReadNewJob(const base::json::value& value, const std::string& path);

// state, queue, kind, tag, priority, run, ids, limit and cursor of a query. kInvalidArgument names the parameter, also
// one that is not known; `also` are further known ones.
Result<storage::JobFilter> ReadFilter(const ApiRequest& request, std::initializer_list<std::string_view> also = {});

// A positive id from a path or query. kInvalidArgument.
Result<std::int64_t> ReadId(std::string_view text, std::string_view what);

// The request's body as an object whose members are all among `known`; an empty body is an empty object.
Result<base::json::object> ReadBody(const ApiRequest& request, std::initializer_list<std::string_view> known);

}  // namespace millrace::http
