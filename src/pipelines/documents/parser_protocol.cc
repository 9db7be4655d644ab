#include "pipelines/documents/parser_protocol.h"

#include <array>
#include <cstring>
#include <limits>

namespace millrace::documents {
namespace {

constexpr std::uint64_t kRequestMark = 0x51524d31;  // version 1 of both frames
constexpr std::uint64_t kReplyMark = 0x50524d31;
constexpr std::size_t kMaxMessage = 4 << 10;
constexpr std::size_t kMaxName = 4 << 10;
constexpr std::size_t kMaxMetadataText = 1 << 20;

// The length of the UTF-8 character that starts at `at`; 0 if there is none.
std::size_t Utf8Length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) -> unsigned { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(at);
  if (first < 0x80) return first == 0 ? 0 : 1;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() - at < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return 0;
  }
  const unsigned second = byte(at + 1);
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool surrogate = first == 0xed && second >= 0xa0;
  const bool too_high = first == 0xf4 && second >= 0x90;
  return overlong || surrogate || too_high ? 0 : length;
}

// In the highest bits: whether any of eight bytes is zero or not ASCII. It has its highest bit, or gets it when one is
// taken from it.
std::uint64_t Unplain(const char* bytes) {
  std::uint64_t eight = 0;
  std::memcpy(&eight, bytes, sizeof(eight));
  return (eight | (eight - 0x0101010101010101u)) & 0x8080808080808080u;
}

// Where the UTF-8 text from `at` on ends: at a byte that does not fit, or the end.
std::size_t Utf8End(std::string_view text, std::size_t at) {
  const char* const bytes = text.data();
  while (at < text.size()) {
    // Most text is ASCII.
    if (text.size() - at >= 8 && Unplain(bytes + at) == 0) {
      for (at += 8; text.size() - at >= 32; at += 32) {
        const char* const next = bytes + at;
        if ((Unplain(next) | Unplain(next + 8) | Unplain(next + 16) | Unplain(next + 24)) != 0) break;
      }
      continue;
    }
    // The end of a text, with what is before it.
    if (text.size() - at < 8 && text.size() >= 8 && Unplain(bytes + text.size() - 8) == 0) return text.size();
    const std::size_t length = Utf8Length(text, at);
    if (length == 0) break;
    at += length;
  }
  return at;
}

constexpr std::size_t kMaxNumberBytes = 10;

// LEB128; where it ends.
char* PutNumber(char* out, std::uint64_t value) {
  while (value >= 0x80) {
    *out++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *out++ = static_cast<char>(value);
  return out;
}

std::uint64_t ZigZag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}

// Metadata's texts in the order they travel.
template <class Metadata, class Function>
void EachText(Metadata& metadata, Function each) {
  for (auto* text : {&metadata.media_type, &metadata.title, &metadata.author, &metadata.subject, &metadata.keywords,
                     &metadata.created, &metadata.modified, &metadata.producer, &metadata.language, &metadata.charset,
                     &metadata.extra}) {
    each(*text);
  }
}

template <class Number>
Number ReadNumber(FieldReader& reader) {
  const std::int64_t value = reader.Signed();
  if (value < std::numeric_limits<Number>::min() || value > std::numeric_limits<Number>::max()) {
    reader.Fail();
    return 0;
  }
  return static_cast<Number>(value);
}

// A string that must be UTF-8, as the child's sink makes it.
void ReadUtf8(FieldReader& reader, std::size_t max, std::string& out) {
  const std::string_view text = reader.Text(max);
  if (IsUtf8(text)) {
    out = text;
  } else {
    reader.Fail();
  }
}

}  // namespace

void FieldWriter::Number(std::uint64_t value) {
  std::array<char, kMaxNumberBytes> bytes{};
  out_.append(bytes.data(), PutNumber(bytes.data(), value));
}

void FieldWriter::Signed(std::int64_t value) { Number(ZigZag(value)); }

void FieldWriter::Text(std::string_view value) {
  Number(value.size());
  out_ += value;
}

std::uint64_t FieldReader::Number() {
  if (ok_ && !in_.empty() && static_cast<unsigned char>(in_.front()) < 0x80) {
    const auto byte = static_cast<unsigned char>(in_.front());
    in_.remove_prefix(1);
    return byte;
  }
  std::uint64_t value = 0;
  for (int shift = 0; ok_ && shift < 64; shift += 7) {
    if (in_.empty()) break;
    const auto byte = static_cast<unsigned char>(in_.front());
    in_.remove_prefix(1);
    if (shift == 63 && byte > 1) break;
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  ok_ = false;
  return 0;
}

std::int64_t FieldReader::Signed() {
  const std::uint64_t value = Number();
  return static_cast<std::int64_t>((value >> 1) ^ (~(value & 1) + 1));
}

std::string_view FieldReader::Text(std::size_t max) {
  const std::uint64_t size = Number();
  if (!ok_ || size > max || size > in_.size()) {
    ok_ = false;
    return {};
  }
  const std::string_view text = in_.substr(0, size);
  in_.remove_prefix(size);
  return text;
}

std::string EncodeRequest(const RequestFrame& request) {
  std::string out;
  FieldWriter writer(out);
  writer.Number(kRequestMark);
  // The end of a name says more than its beginning.
  const std::string_view name = request.name;
  writer.Text(name.size() > kMaxName ? name.substr(name.size() - kMaxName) : name);
  const ParseLimits& limits = request.limits;
  for (const std::int64_t value :
       {limits.max_bytes, limits.memory, std::int64_t{limits.wall.count()}, std::int64_t{limits.cpu.count()},
        limits.max_elements, limits.max_output, std::int64_t{limits.max_depth}, std::int64_t{limits.recycle_after}}) {
    writer.Signed(value);
  }
  return out;
}

std::optional<RequestFrame> DecodeRequest(std::string_view bytes) {
  FieldReader reader(bytes);
  RequestFrame request;
  if (reader.Number() != kRequestMark) return std::nullopt;
  request.name = reader.Text(kMaxName);
  ParseLimits& limits = request.limits;
  limits.max_bytes = reader.Signed();
  limits.memory = reader.Signed();
  limits.wall = Duration(reader.Signed());
  limits.cpu = Duration(reader.Signed());
  limits.max_elements = reader.Signed();
  limits.max_output = reader.Signed();
  limits.max_depth = ReadNumber<int>(reader);
  limits.recycle_after = ReadNumber<int>(reader);
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return request;
}

std::string EncodeReply(const ReplyFrame& reply) {
  std::string out;
  FieldWriter writer(out);
  writer.Number(kReplyMark);
  writer.Number(static_cast<std::uint64_t>(reply.status));
  writer.Text(CutUtf8(reply.failure.reason, kMaxMessage));
  writer.Text(CutUtf8(reply.failure.message, kMaxMessage));
  writer.Number(reply.element_count);
  writer.Number(reply.element_bytes);
  writer.Number(reply.trailer_bytes);
  return out;
}

std::optional<ReplyFrame> DecodeReply(std::string_view bytes) {
  FieldReader reader(bytes);
  ReplyFrame reply;
  if (reader.Number() != kReplyMark) return std::nullopt;
  const std::uint64_t status = reader.Number();
  if (status > static_cast<std::uint64_t>(ReplyFrame::Status::kMachine)) return std::nullopt;
  reply.status = static_cast<ReplyFrame::Status>(status);
  reply.failure.reason = ReplaceBadUtf8(reader.Text(kMaxMessage));
  reply.failure.message = ReplaceBadUtf8(reader.Text(kMaxMessage));
  reply.element_count = reader.Number();
  reply.element_bytes = reader.Number();
  reply.trailer_bytes = reader.Number();
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return reply;
}

std::string EncodeTrailer(const SpoolTrailer& trailer) {
  std::string out;
  FieldWriter writer(out);
  EachText(trailer.metadata,
           [&](const std::string& text) { writer.Text(CutUtf8(ReplaceBadUtf8(text), kMaxMetadataText / 4)); });
  writer.Signed(trailer.metadata.pages);
  writer.Number(trailer.warnings.size());
  for (const std::string& warning : trailer.warnings) writer.Text(warning);
  return out;
}

std::optional<SpoolTrailer> DecodeTrailer(std::string_view bytes) {
  FieldReader reader(bytes);
  SpoolTrailer trailer;
  EachText(trailer.metadata, [&](std::string& text) { ReadUtf8(reader, kMaxMetadataText, text); });
  trailer.metadata.pages = ReadNumber<std::int32_t>(reader);
  const std::uint64_t warnings = reader.Number();
  if (warnings > kMaxWarnings + 1) return std::nullopt;
  for (std::uint64_t i = 0; i < warnings && reader.ok(); ++i) {
    ReadUtf8(reader, kMaxMessage, trailer.warnings.emplace_back());
  }
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return trailer;
}

// There are many elements, and most are short: numbers are put together before they are added.
void EncodeElement(const ElementView& element, std::string& out) {
  std::array<char, 4 * kMaxNumberBytes>
      head;  // NOLINT(cppcoreguidelines-pro-type-member-init): written before it is read
  char* end = PutNumber(head.data(), ZigZag(element.parent));
  end = PutNumber(end, static_cast<std::uint64_t>(element.type));
  end = PutNumber(end, ZigZag(element.level));
  end = PutNumber(end, element.text.size());
  out.append(head.data(), end);
  out += element.text;
  end = PutNumber(head.data(), element.location.size());
  out.append(head.data(), end);
  out += element.location;
  end = PutNumber(head.data(), element.metadata.size());
  out.append(head.data(), end);
  out += element.metadata;
}

void DecodeElement(FieldReader& reader, std::size_t index, Element& element) {
  element.parent = ReadNumber<std::int32_t>(reader);
  const std::uint64_t type = reader.Number();
  element.level = ReadNumber<std::int16_t>(reader);
  ReadUtf8(reader, kMaxElementText, element.text);
  ReadUtf8(reader, kMaxElementLocation, element.location);
  ReadUtf8(reader, kMaxElementMetadata, element.metadata);
  const bool root = index == 0;
  const bool parent_fits =
      root ? element.parent == -1 : element.parent >= 0 && static_cast<std::size_t>(element.parent) < index;
  const bool type_fits = type <= static_cast<std::uint64_t>(ElementType::kOutlineItem) &&
                         (type == static_cast<std::uint64_t>(ElementType::kRoot)) == root;
  if (!parent_fits || !type_fits) reader.Fail();
  element.type = reader.ok() ? static_cast<ElementType>(type) : ElementType::kRoot;
}

bool IsUtf8(std::string_view text) { return Utf8End(text, 0) == text.size(); }

std::string ReplaceBadUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = Utf8End(text, at);
    out += text.substr(at, end - at);
    at = end;
    if (at == text.size()) break;
    out += "\xef\xbf\xbd";
    ++at;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) ++at;
  }
  return out;
}

std::string_view CutUtf8(std::string_view text, std::size_t max) {
  if (text.size() <= max) return text;
  while (max > 0 && (static_cast<unsigned char>(text[max]) & 0xc0) == 0x80) --max;
  return text.substr(0, max);
}

}  // namespace millrace::documents
