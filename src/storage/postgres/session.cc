// The caller's own SQL.
#include <array>
#include <charconv>

#include "base/try.h"
#include "storage/postgres/connection.h"

namespace millrace::storage::postgres {
namespace {

std::string RealText(double value) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

struct AddTo {
  Params& params;

  void operator()(std::monostate /*unused*/) const { params.UntypedNull(); }
  void operator()(std::int64_t value) const { params.Untyped(std::to_string(value)); }
  void operator()(double value) const { params.Untyped(RealText(value)); }
  void operator()(std::string_view value) const { params.Untyped(value); }
  void operator()(SqlBlob value) const { params.Bytes(value.bytes); }
};

}  // namespace

Result<ResultSet> Session::RunValues(std::string_view sql, std::span<const SqlValue> values) {
  Params params;
  for (const SqlValue& value : values) std::visit(AddTo{params}, value);
  return connection_.RunText(Query{"sql", std::string(sql)}, params);
}

Result<void> Session::execute(std::string_view sql, std::span<const SqlValue> values) {
  MILLRACE_ASSIGN(const ResultSet result, RunValues(sql, values));
  changes_ = result.affected();
  return {};
}

Result<void> Session::query(std::string_view sql, std::span<const SqlValue> values,
                            const std::function<bool(const SqlRow&)>& row) {
  MILLRACE_ASSIGN(const ResultSet result, RunValues(sql, values));
  for (int i = 0; i < result.rows(); ++i) {
    if (!row(result.row(i))) break;
  }
  return {};
}

}  // namespace millrace::storage::postgres
