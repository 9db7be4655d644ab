// The door to OpenSSL's hashes.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace millrace::base {

// SHA-256 as 64 lower-case hex digits.
std::string Sha256Hex(std::string_view bytes);

// The same over pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void Add(std::string_view bytes);
  // 64 lower-case hex digits of all that was added; afterwards it starts anew.
  std::string Hex();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::base
