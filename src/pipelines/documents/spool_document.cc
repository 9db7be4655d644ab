#include "pipelines/documents/spool_document.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace millrace::documents {
namespace {

constexpr std::size_t kReadBytes = 256 << 10;
constexpr std::size_t kMaxElementBytes = kMaxElementText + kMaxElementLocation + kMaxElementMetadata + 64;

// Adds `bytes` bytes at `offset` of the file to `out`. kCorrupt if the file ends before.
Result<void> Read(int fd, std::uint64_t offset, std::size_t bytes, std::string& out) {
  std::size_t at = out.size();
  out.resize(at + bytes);
  while (at < out.size()) {
    const ssize_t size = ::pread(fd, out.data() + at, out.size() - at, static_cast<off_t>(offset));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail(ErrorCode::kIo, "cannot read a parser's spool: " + std::string(std::strerror(errno)));
    if (size == 0) return fail(ErrorCode::kCorrupt, "a parser's spool is shorter than it said");
    at += static_cast<std::size_t>(size);
    offset += static_cast<std::uint64_t>(size);
  }
  return {};
}

// Goes through a spool's elements with a buffer.
class ElementReader {
 public:
  // `start` is what was read already, from offset 0.
  ElementReader(int fd, std::uint64_t bytes, std::string_view start)
      : fd_(fd), end_(bytes), offset_(start.size()), left_(start) {}

  Result<void> Next(Element& element) {
    for (;;) {
      FieldReader reader(left_);
      DecodeElement(reader, index_, element);
      if (reader.ok()) {
        left_.remove_prefix(left_.size() - reader.left());
        ++index_;
        return {};
      }
      // It may only be that the rest of it was not read yet.
      if (left_.size() >= kMaxElementBytes || offset_ == end_) return Nonsense();
      if (auto more = Fill(); !more) return more;
    }
  }
  [[nodiscard]] bool AtEnd() const { return offset_ == end_ && left_.empty(); }
  [[nodiscard]] Result<void> Nonsense() const {
    return fail(ErrorCode::kCorrupt, "element " + std::to_string(index_) +
                                         " that a parser wrote makes no sense; the document is not stored");
  }

 private:
  Result<void> Fill() {
    std::string bytes(left_);
    const auto more =
        static_cast<std::size_t>(std::min<std::uint64_t>(std::max(kReadBytes, bytes.size()), end_ - offset_));
    auto read = Read(fd_, offset_, more, bytes);
    offset_ += more;
    buffer_ = std::move(bytes);
    left_ = buffer_;
    return read;
  }

  int fd_;
  std::uint64_t end_;
  std::uint64_t offset_ = 0;  // up to where it was read
  std::string buffer_;
  std::string_view left_;  // of what was read
  std::size_t index_ = 0;
};

}  // namespace

SpoolDocument::~SpoolDocument() = default;

Result<std::unique_ptr<SpoolDocument>> SpoolDocument::Open(int spool, const ReplyFrame& reply,
                                                           const ParseLimits& limits) {
  const auto max_elements = static_cast<std::uint64_t>(limits.max_elements) + 1;
  if (reply.element_count == 0 || reply.element_count > max_elements || reply.trailer_bytes > kMaxTrailerBytes ||
      reply.element_bytes > static_cast<std::uint64_t>(limits.max_output)) {
    return fail(ErrorCode::kCorrupt, "the parser's answer is beyond its limits");
  }
  std::unique_ptr<SpoolDocument> document(new SpoolDocument(spool, reply));
  // Most documents are small: one read gets everything.
  const std::uint64_t start = reply.element_bytes <= kReadBytes ? 0 : reply.element_bytes;
  const std::uint64_t end = reply.element_bytes + reply.trailer_bytes;
  std::string& bytes = document->start_;
  if (auto read = Read(spool, start, static_cast<std::size_t>(end - start), bytes); !read) return fail(read.error());
  const auto elements = static_cast<std::size_t>(reply.element_bytes - start);
  auto trailer = DecodeTrailer(std::string_view(bytes).substr(elements));
  if (!trailer) return fail(ErrorCode::kCorrupt, "the metadata that the parser wrote makes no sense");
  bytes.resize(elements);
  document->trailer_ = std::move(*trailer);
  return document;
}

Result<void> SpoolDocument::ForEach(const std::function<Result<void>(const Element&)>& each) {
  const auto distrust = [this](Result<void> error) {
    if (holder_) holder_->Distrust();
    return error;
  };
  ElementReader reader(spool_, reply_.element_bytes, start_);
  Element element;
  for (std::uint64_t i = 0; i < reply_.element_count; ++i) {
    if (auto read = reader.Next(element); !read) return distrust(read);
    if (auto done = each(element); !done) return done;
  }
  if (!reader.AtEnd()) return distrust(reader.Nonsense());
  return {};
}

}  // namespace millrace::documents
