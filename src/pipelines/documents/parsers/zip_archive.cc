#include "pipelines/documents/parsers/zip_archive.h"

#include <libdeflate.h>
#include <zip.h>

#include <algorithm>
#include <new>
#include <optional>
#include <unordered_map>
#include <utility>

namespace millrace::documents {
namespace {

constexpr std::int64_t kPiece = 64 << 10;
constexpr std::int64_t kMaxAtOnce = 4 << 20;  // of a member, unpacked; larger ones are streamed

// Names are compared in this form only.
std::string NormalName(std::string_view name) {
  while (!name.empty() && (name.front() == '/' || name.front() == '\\')) name.remove_prefix(1);
  std::string normal(name);
  for (char& c : normal) {
    if (c == '\\') c = '/';
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return normal;
}

ErrorCode CodeOf(int zip_error) {
  switch (zip_error) {
    case ZIP_ER_NOENT:
      return ErrorCode::kNotFound;
    case ZIP_ER_COMPNOTSUPP:
    case ZIP_ER_ENCRNOTSUPP:
    case ZIP_ER_NOPASSWD:
    case ZIP_ER_WRONGPASSWD:
    case ZIP_ER_MULTIDISK:
      return ErrorCode::kUnsupported;
    default:
      return ErrorCode::kCorrupt;
  }
}

std::string Describe(zip_error_t* error) { return zip_error_strerror(error); }

struct FileCloser {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};

struct DecompressorCloser {
  void operator()(libdeflate_decompressor* decompressor) const { libdeflate_free_decompressor(decompressor); }
};

class LibzipArchive : public ZipArchive {
 public:
  LibzipArchive(zip_t* archive, const ZipLimits& limits) : archive_(archive), limits_(limits) {}
  ~LibzipArchive() override { zip_discard(archive_); }
  LibzipArchive(const LibzipArchive&) = delete;
  LibzipArchive& operator=(const LibzipArchive&) = delete;

  Result<void> ReadDirectory();
  [[nodiscard]] const std::vector<ZipMember>& members() const override { return members_; }
  [[nodiscard]] const ZipMember* Find(std::string_view name) const override;
  Result<void> Stream(std::string_view name, const std::function<Result<void>(std::string_view)>& each) override;
  Result<std::string> Read(std::string_view name) override;

 private:
  [[nodiscard]] std::optional<std::string> ReadAtOnce(const ZipMember& member);
  [[nodiscard]] Result<void> CheckLimits(const ZipMember& member, std::int64_t unpacked) const;

  zip_t* archive_;
  ZipLimits limits_;
  std::vector<ZipMember> members_;
  std::unordered_map<std::string, std::size_t> by_name_;
  std::int64_t total_ = 0;
  std::unique_ptr<libdeflate_decompressor, DecompressorCloser> decompressor_;
};

Result<void> LibzipArchive::ReadDirectory() {
  const zip_int64_t count = zip_get_num_entries(archive_, 0);
  if (count < 0 || static_cast<std::size_t>(count) > limits_.max_members) {
    return fail(ErrorCode::kLimitExceeded, "the zip archive has " + std::to_string(count) + " members, more than the " +
                                               std::to_string(limits_.max_members) + " allowed");
  }
  members_.reserve(static_cast<std::size_t>(count));
  for (zip_int64_t i = 0; i < count; ++i) {
    ZipMember member;
    zip_stat_t stat;
    zip_stat_init(&stat);
    if (zip_stat_index(archive_, static_cast<zip_uint64_t>(i), 0, &stat) == 0) {
      if ((stat.valid & ZIP_STAT_NAME) != 0 && stat.name != nullptr) member.name = stat.name;
      if ((stat.valid & ZIP_STAT_SIZE) != 0) member.size = static_cast<std::int64_t>(stat.size);
      if ((stat.valid & ZIP_STAT_COMP_SIZE) != 0) member.packed = static_cast<std::int64_t>(stat.comp_size);
      member.encrypted = (stat.valid & ZIP_STAT_ENCRYPTION_METHOD) != 0 && stat.encryption_method != ZIP_EM_NONE;
    }
    by_name_.emplace(NormalName(member.name), members_.size());
    members_.push_back(std::move(member));
  }
  return {};
}

const ZipMember* LibzipArchive::Find(std::string_view name) const {
  const auto found = by_name_.find(NormalName(name));
  return found == by_name_.end() ? nullptr : &members_[found->second];
}

Result<void> LibzipArchive::CheckLimits(const ZipMember& member, std::int64_t unpacked) const {
  const bool ratio =
      unpacked > limits_.ratio_free_bytes && unpacked / std::max<std::int64_t>(member.packed, 1) >= limits_.max_ratio;
  if (unpacked <= limits_.max_member && total_ <= limits_.max_total && !ratio) return {};
  std::string what;
  if (unpacked > limits_.max_member) {
    what = std::to_string(limits_.max_member) + " bytes, the limit for one member";
  } else if (total_ > limits_.max_total) {
    what = std::to_string(limits_.max_total) + " bytes together with the members before it, the limit for an archive";
  } else {
    what = std::to_string(limits_.max_ratio) + " times its packed size, the limit for compression";
  }
  return fail(ErrorCode::kLimitExceeded,
              "zip member '" + member.name + "' unpacks to more than " + what + ": a zip bomb?");
}

Result<void> LibzipArchive::Stream(std::string_view name, const std::function<Result<void>(std::string_view)>& each) {
  const ZipMember* member = Find(name);
  if (member == nullptr) {
    return fail(ErrorCode::kNotFound, "the zip archive has no member '" + std::string(name) + "'");
  }
  const auto index = static_cast<zip_uint64_t>(member - members_.data());
  const std::unique_ptr<zip_file_t, FileCloser> file(zip_fopen_index(archive_, index, 0));
  if (file == nullptr) {
    zip_error_t* error = zip_get_error(archive_);
    return fail(CodeOf(zip_error_code_zip(error)), "zip member '" + member->name + "': " + Describe(error));
  }
  // One byte more than there should be, so that the end is seen by the first read of a small member.
  std::string buffer(static_cast<std::size_t>(std::clamp<std::int64_t>(member->size + 1, 4096, kPiece)), '\0');
  std::int64_t unpacked = 0;
  for (;;) {
    const zip_int64_t got = zip_fread(file.get(), buffer.data(), buffer.size());
    if (got < 0) {
      zip_error_t* error = zip_file_get_error(file.get());
      return fail(CodeOf(zip_error_code_zip(error)), "zip member '" + member->name + "' is damaged after " +
                                                         std::to_string(unpacked) + " bytes: " + Describe(error));
    }
    if (got == 0) return {};
    unpacked += got;
    total_ += got;
    if (auto r = CheckLimits(*member, unpacked); !r) return fail(r.error());
    if (auto r = each({buffer.data(), static_cast<std::size_t>(got)}); !r) return fail(r.error());
  }
}

// A small member that is just what the directory says of it; nothing if it is not, or not deflated.
std::optional<std::string> LibzipArchive::ReadAtOnce(const ZipMember& member) {
  if (member.size <= 0 || member.size > kMaxAtOnce || member.packed <= 0 || member.packed > kMaxAtOnce) return {};
  const auto index = static_cast<zip_uint64_t>(&member - members_.data());
  zip_stat_t stat;
  if (zip_stat_index(archive_, index, 0, &stat) != 0) return {};
  constexpr zip_uint64_t kNeeded = ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD | ZIP_STAT_CRC;
  if ((stat.valid & kNeeded) != kNeeded || stat.comp_method != ZIP_CM_DEFLATE || member.encrypted) return {};
  const std::unique_ptr<zip_file_t, FileCloser> file(zip_fopen_index(archive_, index, ZIP_FL_COMPRESSED));
  std::string packed(static_cast<std::size_t>(member.packed), '\0');
  if (!file || zip_fread(file.get(), packed.data(), packed.size()) != member.packed) return {};
  if (!decompressor_) decompressor_.reset(libdeflate_alloc_decompressor());
  if (!decompressor_) throw std::bad_alloc();
  std::string out(static_cast<std::size_t>(member.size), '\0');
  // Without a place for the size, anything but a full buffer is an error.
  const libdeflate_result result =
      libdeflate_deflate_decompress(decompressor_.get(), packed.data(), packed.size(), out.data(), out.size(), nullptr);
  if (result != LIBDEFLATE_SUCCESS || libdeflate_crc32(0, out.data(), out.size()) != stat.crc) return {};
  return out;
}

Result<std::string> LibzipArchive::Read(std::string_view name) {
  const ZipMember* member = Find(name);
  auto whole = member == nullptr ? std::nullopt : ReadAtOnce(*member);
  if (!whole) return ZipArchive::Read(name);  // which also knows what is wrong with it
  total_ += member->size;
  if (auto r = CheckLimits(*member, member->size); !r) return fail(r.error());
  return *std::move(whole);
}

}  // namespace

Result<std::unique_ptr<ZipArchive>> ZipArchive::Open(std::string_view bytes, const ZipLimits& limits) {
  // libzip takes no bytes at all for an archive without members.
  if (bytes.empty()) return fail(ErrorCode::kCorrupt, "not a zip archive: it has no bytes");
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  zip_t* archive = source == nullptr ? nullptr : zip_open_from_source(source, ZIP_RDONLY, &error);
  if (archive == nullptr) {
    const std::string why = Describe(&error);
    if (source != nullptr) zip_source_free(source);
    zip_error_fini(&error);
    return fail(ErrorCode::kCorrupt, "not a readable zip archive (" + why + "): cut off or damaged");
  }
  zip_error_fini(&error);
  auto opened = std::make_unique<LibzipArchive>(archive, limits);
  if (auto r = opened->ReadDirectory(); !r) return fail(r.error());
  return opened;
}

Result<std::string> ZipArchive::Read(std::string_view name) {
  std::string whole;
  if (const ZipMember* member = Find(name); member != nullptr) {
    whole.reserve(static_cast<std::size_t>(std::clamp<std::int64_t>(member->size, 0, 1 << 20)));
  }
  auto read = Stream(name, [&](std::string_view piece) -> Result<void> {
    whole.append(piece);
    return {};
  });
  if (!read) return fail(read.error());
  return whole;
}

}  // namespace millrace::documents
