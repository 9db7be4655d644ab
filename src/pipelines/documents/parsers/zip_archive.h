// Reading zip archives from memory; the only user of libzip, and of libdeflate, which unpacks whole members twice as
// fast.
//
// Nothing an archive says of itself is believed: sizes are counted while bytes come out of the decompressor, and a
// reader stops at a limit long before a bomb has gone off. Names are compared without regard to case, with backslashes
// as slashes and without a leading slash, as the packages of office programs need it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/error.h"

namespace millrace::documents {

struct ZipLimits {
  std::int64_t max_member = 512ll << 20;       // bytes of one member, unpacked
  std::int64_t max_total = 1ll << 30;          // bytes of all reads of one archive together, unpacked
  std::int64_t max_ratio = 250;                // unpacked to packed bytes of one member ...
  std::int64_t ratio_free_bytes = 16ll << 20;  // ... looked at only beyond this many unpacked bytes
  std::size_t max_members = 100'000;
};

struct ZipMember {
  std::string name;         // as stored; UTF-8 as libzip reads it
  std::int64_t size = 0;    // unpacked, as declared: a hint
  std::int64_t packed = 0;  // as declared
  bool encrypted = false;
};

// Not thread-safe. The bytes given to Open must outlive the archive.
class ZipArchive {
 public:
  // kCorrupt: not a zip, or its directory is damaged. kLimitExceeded: too many members.
  static Result<std::unique_ptr<ZipArchive>> Open(std::string_view bytes, const ZipLimits& limits = {});
  virtual ~ZipArchive() = default;

  [[nodiscard]] virtual const std::vector<ZipMember>& members() const = 0;
  // The member of this name (the first one of several), or null.
  [[nodiscard]] virtual const ZipMember* Find(std::string_view name) const = 0;

  // Unpacks a member and hands its bytes to `each` in pieces, until it returns an error, which is passed on.
  // kNotFound: no such member. kCorrupt: damaged, or its checksum is wrong (told after all bytes were handed out).
  // kUnsupported: encrypted, or packed by an unknown method. kLimitExceeded: a limit was passed ("zip bomb").
  virtual Result<void> Stream(std::string_view name, const std::function<Result<void>(std::string_view)>& each) = 0;

  // The whole member; the errors of Stream.
  virtual Result<std::string> Read(std::string_view name);
};

}  // namespace millrace::documents
