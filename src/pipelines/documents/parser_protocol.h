// What the parent and a parser's process say to each other. Used by `millrace parser-child` and by the separate program
// `millrace-pdf`; needs nothing but the standard library. Its sources are parser_protocol.cc and parser_loop.cc.
//
// The child has five open files: 0 and 1 are /dev/null, 2 a pipe for what it complains of, 3 a SOCK_SEQPACKET
// socket to its parent, 4 the spool, a file without a name. The parent sends a request frame with the
// document's descriptor (SCM_RIGHTS); the child writes elements and, after them, a trailer (metadata and warnings) to
// the spool from offset 0 and answers with one reply frame. Numbers travel as LEB128, strings with their length before
// them. The child is not trusted: the parent checks every length, index and byte of text it reads.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "pipelines/documents/parsers/parser.h"

namespace millrace::documents {

inline constexpr int kParserSocketFd = 3;
inline constexpr int kParserSpoolFd = 4;
inline constexpr std::size_t kMaxFrameBytes = 32 << 10;
inline constexpr std::size_t kMaxElementText = 1 << 20;  // longer text continues in child elements of the same type
inline constexpr std::size_t kMaxElementLocation = 4 << 10;
inline constexpr std::size_t kMaxElementMetadata = 256 << 10;
inline constexpr std::size_t kMaxTrailerBytes = 8 << 20;
inline constexpr std::size_t kMaxWarnings = 100;

// Writes numbers and strings to a string.
class FieldWriter {
 public:
  explicit FieldWriter(std::string& out) : out_(out) {}
  void Number(std::uint64_t value);
  void Signed(std::int64_t value);
  void Text(std::string_view value);

 private:
  std::string& out_;
};

// Reads what FieldWriter wrote. After anything that does not fit, ok() is false and all that is read is empty.
class FieldReader {
 public:
  explicit FieldReader(std::string_view in) : in_(in) {}
  std::uint64_t Number();
  std::int64_t Signed();
  // A string of at most `max` bytes; the view is into what is read.
  std::string_view Text(std::size_t max);
  void Fail() { ok_ = false; }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return in_.empty(); }
  [[nodiscard]] std::size_t left() const { return in_.size(); }

 private:
  std::string_view in_;
  bool ok_ = true;
};

struct RequestFrame {
  std::string name;
  ParseLimits limits;
};

struct ReplyFrame {
  enum class Status : std::uint8_t { kParsed, kFailed, kMachine };  // kMachine: not the document's fault; try again
  Status status = Status::kFailed;
  ParseFailure failure;             // kFailed; message alone with kMachine
  std::uint64_t element_count = 0;  // with kParsed, as are the following
  std::uint64_t element_bytes = 0;  // of the spool, from 0
  std::uint64_t trailer_bytes = 0;  // of the spool, after the elements
};

// What follows the elements in the spool.
struct SpoolTrailer {
  DocumentMetadata metadata;
  std::vector<std::string> warnings;
};

std::string EncodeRequest(const RequestFrame& request);
std::optional<RequestFrame> DecodeRequest(std::string_view bytes);
std::string EncodeReply(const ReplyFrame& reply);  // cuts a long message
std::optional<ReplyFrame> DecodeReply(std::string_view bytes);
std::string EncodeTrailer(const SpoolTrailer& trailer);
std::optional<SpoolTrailer> DecodeTrailer(std::string_view bytes);
// An element as it is written; its texts stay the caller's.
struct ElementView {
  std::int32_t parent = -1;
  ElementType type = ElementType::kParagraph;
  std::int16_t level = 0;
  std::string_view text, location, metadata;
};
void EncodeElement(const ElementView& element, std::string& out);
// Reads element number `index`; not ok() when it is not one: an unknown type, a parent that does not come before it,
// text that is not UTF-8.
void DecodeElement(FieldReader& reader, std::size_t index, Element& element);

// Whether all of it is UTF-8 (no surrogates, nothing overlong) and without zero bytes, which not every database takes;
// and a copy with what is not replaced by U+FFFD.
bool IsUtf8(std::string_view text);
std::string ReplaceBadUtf8(std::string_view text);
// The longest beginning of at most `max` bytes that does not cut a UTF-8 character.
std::string_view CutUtf8(std::string_view text, std::size_t max);

// The sink of a child: writes elements to a file as they come, in large pieces. Throws LimitReached, and SpoolError
// when the file cannot be written.
struct SpoolError {
  std::string message;
};
class SpoolSink : public ElementSink {
 public:
  // Writes from offset 0 of `fd`. Keeps the first `sample_bytes` of text. `limits` must outlive it.
  SpoolSink(int fd, const ParseLimits& limits, std::size_t sample_bytes = 0);
  std::int32_t Add(std::int32_t parent, ElementType type, std::string_view text, std::string_view location, int level,
                   std::string_view metadata) override;
  void Warn(std::string warning) override;
  [[nodiscard]] DocumentMetadata& metadata() override { return trailer_.metadata; }
  [[nodiscard]] const std::string& sample() const { return sample_; }
  // Writes the trailer and all that is left, and says what there is.
  ReplyFrame Finish();

 private:
  std::int32_t AddOne(std::int32_t parent, ElementType type, std::string_view text, std::string_view location,
                      int level, std::string_view metadata);
  std::int32_t Flatten(std::int32_t parent);
  void Sample(std::string_view text);
  void Flush();

  int fd_;
  const ParseLimits& limits_;
  std::size_t sample_bytes_;
  std::string sample_;
  std::string buffer_;
  std::uint64_t written_ = 0;
  std::vector<std::uint16_t> depths_;                       // of each element; the root's is 0
  std::unordered_map<std::int32_t, std::int32_t> deepest_;  // elements at the greatest depth, and their parents
  bool flattened_ = false;
  SpoolTrailer trailer_;
};

// Parses a document into a sink. The root (element 0) is there already.
using ParseDispatch = std::function<std::optional<ParseFailure>(const ParserInput& input, ElementSink& sink)>;
// The language of a text as an ISO 639-1 code; empty when unsure. Asked when the parser left metadata.language empty.
using LanguageOf = std::function<std::string(std::string_view sample)>;

// A child's main loop: limits itself, then answers requests until its parent goes, when it ends with status 0 (1: it
// was not started by a parent). What `parse` throws becomes a failure: LimitReached its own, std::bad_alloc
// "memory_limit", other exceptions "broken". A child whose parent dies in the middle of a document dies too.
int RunParserChild(const ParseDispatch& parse, const LanguageOf& language = {});

}  // namespace millrace::documents
