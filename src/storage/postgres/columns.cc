#include "storage/postgres/columns.h"

#include <algorithm>
#include <charconv>

#include "base/json.h"

namespace millrace::storage::postgres {
namespace {

std::optional<std::string_view> NullIfEmpty(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<std::string_view>(text);
}

template <class Out, class Get>
std::vector<Out> Column(std::span<const NewJob* const> jobs, const Get& get) {
  std::vector<Out> column;
  column.reserve(jobs.size());
  for (const NewJob* job : jobs) column.push_back(get(*job));
  return column;
}

void AddTimes(Params& params, std::span<const NewJob* const> jobs) {
  const bool timed = std::any_of(jobs.begin(), jobs.end(), [](const NewJob* job) { return job->run_at || job->delay; });
  if (!timed) {
    params.UntypedNull().UntypedNull();
    return;
  }
  params.Times(Column<std::optional<Time>>(jobs, [](const NewJob& job) { return job.run_at; }));
  params.Ints(Column<std::int64_t>(
      jobs, [](const NewJob& job) { return job.run_at ? 0 : job.delay.value_or(Duration(0)).count(); }));
}

}  // namespace

std::vector<std::int64_t> ParseIds(std::string_view text) {
  std::vector<std::int64_t> ids;
  while (!text.empty()) {
    std::int64_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error == std::errc()) ids.push_back(id);
    text.remove_prefix(std::min(text.size(), static_cast<std::size_t>(end - text.data()) + 1));
  }
  return ids;
}

void AddJobs(Params& params, std::span<const NewJob* const> jobs, bool with_runs) {
  params.Texts(Column<std::string_view>(jobs, [](const NewJob& job) -> std::string_view { return job.kind; }));
  params.Texts(Column<std::string_view>(jobs, [](const NewJob& job) -> std::string_view { return job.args; }));
  params.Texts(Column<std::string_view>(jobs, [](const NewJob& job) -> std::string_view { return job.queue; }));
  params.Int2s(Column<std::int16_t>(jobs, [](const NewJob& job) { return static_cast<std::int16_t>(job.priority); }));
  AddTimes(params, jobs);
  params.Int4s(Column<std::int32_t>(jobs, [](const NewJob& job) { return job.max_attempts; }));
  params.Int4s(Column<std::int32_t>(jobs, [](const NewJob& job) { return job.max_crashes; }));
  params.Ints(Column<std::int64_t>(jobs, [](const NewJob& job) { return job.timeout.count(); }));
  params.NullableTexts(
      Column<std::optional<std::string_view>>(jobs, [](const NewJob& job) { return NullIfEmpty(job.partition_key); }));
  params.NullableTexts(
      Column<std::optional<std::string_view>>(jobs, [](const NewJob& job) { return NullIfEmpty(job.unique_key); }));
  if (with_runs) params.Ints(Column<std::int64_t>(jobs, [](const NewJob& job) { return job.run_id; }));
  const auto tags = Column<std::string>(jobs, [](const NewJob& job) { return base::TextsToJson(job.tags); });
  std::vector<std::optional<std::string_view>> views;
  views.reserve(tags.size());
  for (const std::string& text : tags) views.push_back(NullIfEmpty(text));
  params.NullableTexts(views);
}

void AddDependencies(Params& params, std::span<const NewJob* const> jobs, std::span<const std::size_t> firsts) {
  std::vector<std::int32_t> naming;
  std::vector<std::int64_t> needs;
  std::vector<std::int16_t> policies;
  const auto add = [&](std::size_t job, std::int64_t needed) {
    naming.push_back(static_cast<std::int32_t>(job) + 1);
    needs.push_back(needed);
    policies.push_back(static_cast<std::int16_t>(jobs[job]->when));
  };
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    for (const JobId id : jobs[i]->after) add(i, id);
    const std::size_t first = firsts.empty() ? 0 : firsts[i];
    for (const std::size_t earlier : jobs[i]->after_in_batch) add(i, -static_cast<std::int64_t>(first + earlier + 1));
  }
  if (naming.empty()) {
    params.UntypedNull().UntypedNull().UntypedNull();
  } else {
    params.Int4s(naming).Ints(needs).Int2s(policies);
  }
}

void AddFilter(Params& params, const ClaimRequest& request) {
  if (request.queues.empty()) {
    params.UntypedNull();
  } else {
    params.Texts(std::span<const std::string>(request.queues));
  }
  std::vector<std::int16_t> priorities;
  for (int p = 0; p < kPriorityCount; ++p) {
    if (request.priorities.Has(static_cast<Priority>(p))) priorities.push_back(static_cast<std::int16_t>(p));
  }
  params.Int2s(priorities);
}

}  // namespace millrace::storage::postgres
