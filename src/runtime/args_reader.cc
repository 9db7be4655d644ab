// Decoding a job's args with errors that name the member.
#include <fmt/format.h>

#include "base/json.h"
#include "millrace/handler.h"

namespace millrace {
namespace {

namespace json = base::json;

std::string_view KindName(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "a boolean";
    case json::kind::int64:
    case json::kind::uint64:
      return "an integer";
    case json::kind::double_:
      return "a number";
    case json::kind::string:
      return "a string";
    case json::kind::array:
      return "an array";
    case json::kind::object:
      return "an object";
  }
  return "something else";
}

bool Get(const json::value& value, bool& out) {
  if (!value.is_bool()) return false;
  out = value.get_bool();
  return true;
}
bool Get(const json::value& value, std::int64_t& out) {
  if (!value.is_int64()) return false;
  out = value.get_int64();
  return true;
}
bool Get(const json::value& value, int& out) {
  if (!value.is_int64() || value.get_int64() < INT32_MIN || value.get_int64() > INT32_MAX) return false;
  out = static_cast<int>(value.get_int64());
  return true;
}
bool Get(const json::value& value, double& out) {
  boost::system::error_code error;
  out = value.to_number<double>(error);
  return !error;
}
bool Get(const json::value& value, std::string& out) {
  if (!value.is_string()) return false;
  out = std::string(value.get_string());
  return true;
}
template <class T>
bool Get(const json::value& value, std::vector<T>& out) {
  if (!value.is_array()) return false;
  std::vector<T> items;
  for (const json::value& item : value.get_array()) {
    T one{};
    if (!Get(item, one)) return false;
    items.push_back(std::move(one));
  }
  out = std::move(items);
  return true;
}

}  // namespace

struct ArgsReader::Impl {
  json::value value;
  std::optional<std::string> error;

  template <class T>
  void Read(std::string_view name, bool required, T& out, std::string_view expected) {
    if (error) return;
    const json::value* member = value.get_object().if_contains(name);
    if (member == nullptr || (member->is_null() && !required)) {
      if (required) error = fmt::format("args.{}: is missing; expected {}", name, expected);
      return;
    }
    if (!Get(*member, out)) error = fmt::format("args.{}: expected {}, found {}", name, expected, KindName(*member));
  }
};

ArgsReader::ArgsReader(std::string_view text) : impl_(std::make_unique<Impl>()) {
  auto parsed = base::ParseJson(text);
  if (!parsed) {
    impl_->error = "args: not valid JSON: " + parsed.error().message;
  } else if (!parsed->is_object()) {
    impl_->error = fmt::format("args: expected an object, found {}", KindName(*parsed));
  } else {
    impl_->value = std::move(*parsed);
  }
}
ArgsReader::~ArgsReader() = default;

const std::optional<std::string>& ArgsReader::error() const { return impl_->error; }

void ArgsReader::read(std::string_view name, bool required, bool& out) {
  impl_->Read(name, required, out, "a boolean");
}
void ArgsReader::read(std::string_view name, bool required, int& out) {
  impl_->Read(name, required, out, "a 32-bit integer");
}
void ArgsReader::read(std::string_view name, bool required, std::int64_t& out) {
  impl_->Read(name, required, out, "an integer");
}
void ArgsReader::read(std::string_view name, bool required, double& out) {
  impl_->Read(name, required, out, "a number");
}
void ArgsReader::read(std::string_view name, bool required, std::string& out) {
  impl_->Read(name, required, out, "a string");
}
void ArgsReader::read(std::string_view name, bool required, std::vector<std::string>& out) {
  impl_->Read(name, required, out, "an array of strings");
}
void ArgsReader::read(std::string_view name, bool required, std::vector<std::int64_t>& out) {
  impl_->Read(name, required, out, "an array of integers");
}

}  // namespace millrace
