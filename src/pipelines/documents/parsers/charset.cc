#include "pipelines/documents/parsers/charset.h"

#include <uchardet/uchardet.h>
#include <unicode/ucnv.h>
#include <unicode/ucnv_err.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "pipelines/documents/parser_protocol.h"

namespace millrace::documents {
namespace {

constexpr std::size_t kGuessBytes = 256 << 10;
constexpr std::size_t kLookBytes = 64 << 10;

struct CloseConverter {
  void operator()(UConverter* converter) const { ucnv_close(converter); }
};
using Converter = std::unique_ptr<UConverter, CloseConverter>;

Converter OpenConverter(const std::string& name) {
  UErrorCode status = U_ZERO_ERROR;
  Converter converter(ucnv_open(name.c_str(), &status));
  return U_SUCCESS(status) ? std::move(converter) : nullptr;
}

std::string UpperCase(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return c >= 'a' && c <= 'z' ? c - 32 : c; });
  return out;
}

// The name as in mail and web pages (or in IANA's list), in upper case; empty if ICU does not know the charset.
std::string IanaName(const std::string& name) {
  if (const std::string upper = UpperCase(name); upper == "UTF-8") return upper;  // nearly all ask for it
  for (const char* standard : {"MIME", "IANA"}) {
    UErrorCode status = U_ZERO_ERROR;
    const char* found = ucnv_getStandardName(name.c_str(), standard, &status);
    if (found != nullptr && U_SUCCESS(status)) return UpperCase(found);
  }
  return OpenConverter(name) ? UpperCase(name) : std::string();
}

// ICU's substitution, which also counts.
void CountBad(const void* context, UConverterToUnicodeArgs* args, const char* bytes, std::int32_t length,
              UConverterCallbackReason reason, UErrorCode* status) {
  if (reason <= UCNV_IRREGULAR) ++*static_cast<std::size_t*>(const_cast<void*>(context));
  UCNV_TO_U_CALLBACK_SUBSTITUTE(nullptr, args, bytes, length, reason, status);
}

struct Converted {
  std::string text;
  std::size_t bad = 0;  // places that were undecodable
};

// Nothing if there is no such charset.
std::optional<Converted> Convert(std::string_view bytes, const std::string& charset) {
  const Converter from = OpenConverter(charset);
  const Converter to = OpenConverter("UTF-8");
  if (!from || !to) return std::nullopt;
  Converted out;
  UErrorCode status = U_ZERO_ERROR;
  ucnv_setToUCallBack(from.get(), CountBad, &out.bad, nullptr, nullptr, &status);
  std::array<UChar, 4096> pivot{};
  std::array<char, 16384> target{};
  UChar* pivot_source = pivot.data();
  UChar* pivot_target = pivot.data();
  const char* source = bytes.data();
  const char* const source_end = bytes.data() + bytes.size();
  for (bool reset = true;; reset = false) {
    char* written = target.data();
    status = U_ZERO_ERROR;
    ucnv_convertEx(to.get(), from.get(), &written, target.data() + target.size(), &source, source_end, pivot.data(),
                   &pivot_source, &pivot_target, pivot.data() + pivot.size(), reset ? 1 : 0, 1, &status);
    out.text.append(target.data(), static_cast<std::size_t>(written - target.data()));
    if (status == U_MEMORY_ALLOCATION_ERROR) throw std::bad_alloc();
    if (status != U_BUFFER_OVERFLOW_ERROR) break;
  }
  if (U_FAILURE(status)) ++out.bad;
  return out;
}

struct Mark {
  std::string_view charset;
  std::size_t bytes = 0;
};

// The byte order mark at the start.
Mark FindMark(std::string_view bytes) {
  using namespace std::string_view_literals;
  if (bytes.starts_with("\xef\xbb\xbf"sv)) return {"UTF-8", 3};
  if (bytes.starts_with("\xff\xfe\0\0"sv)) return {"UTF-32LE", 4};
  if (bytes.starts_with("\0\0\xfe\xff"sv)) return {"UTF-32BE", 4};
  if (bytes.starts_with("\xff\xfe"sv)) return {"UTF-16LE", 2};
  if (bytes.starts_with("\xfe\xff"sv)) return {"UTF-16BE", 2};
  return {};
}

// UTF-16 without a mark: where western text has zero bytes, at every second place.
std::string_view LooksUtf16(std::string_view bytes) {
  if (bytes.size() < 4 || bytes.size() % 2 != 0) return {};
  const std::string_view look = bytes.substr(0, 4096);
  std::array<std::size_t, 2> zeros{};
  for (std::size_t i = 0; i < look.size(); ++i) zeros.at(i % 2) += look[i] == '\0' ? 1 : 0;
  const std::size_t half = look.size() / 2;
  if (zeros[1] * 10 > half * 7 && zeros[0] * 20 < half) return "UTF-16LE";
  if (zeros[0] * 10 > half * 7 && zeros[1] * 20 < half) return "UTF-16BE";
  return {};
}

// ISO-2022 is seven bits, so it is valid UTF-8, too.
bool HasShiftSequences(std::string_view bytes) {
  const std::string_view look = bytes.substr(0, kLookBytes);
  return look.find("\x1b$") != std::string_view::npos || look.find("\x1b(J") != std::string_view::npos;
}

std::string Guess(std::string_view bytes) {
  const std::unique_ptr<uchardet, void (*)(uchardet*)> detector(uchardet_new(), uchardet_delete);
  const std::string_view look = bytes.substr(0, kGuessBytes);
  if (uchardet_handle_data(detector.get(), look.data(), look.size()) != 0) return {};
  uchardet_data_end(detector.get());
  return uchardet_get_charset(detector.get());
}

DecodedText Utf8Text(std::string text, bool lossy) {
  DecodedText out;
  out.charset = "UTF-8";
  out.lossy = lossy;
  out.text = std::move(text);
  return out;
}

DecodedText AsUtf8(std::string_view bytes) {
  return IsUtf8(bytes) ? Utf8Text(std::string(bytes), false) : Utf8Text(ReplaceBadUtf8(bytes), true);
}

std::optional<DecodedText> As(std::string_view bytes, const std::string& charset) {
  auto converted = Convert(bytes, charset);
  if (!converted) return std::nullopt;
  DecodedText out;
  out.lossy = converted->bad > 0;
  out.text = IsUtf8(converted->text) ? std::move(converted->text) : ReplaceBadUtf8(converted->text);
  out.charset = IanaName(charset);
  return out;
}

std::size_t CountReplacements(std::string_view text) {
  constexpr std::string_view kReplacement = "\xef\xbf\xbd";
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(kReplacement, at)) != std::string_view::npos; at += kReplacement.size()) {
    ++count;
  }
  return count;
}

// What the document says it is, unless the bytes do not fit.
std::optional<DecodedText> AsDeclared(std::string_view bytes, std::string_view declared) {
  std::string name = IanaName(std::string(declared.substr(0, 60)));
  if (name.empty()) return std::nullopt;
  if (name == "UTF-8") {
    if (!IsUtf8(bytes)) return std::nullopt;
    return Utf8Text(std::string(bytes), false);
  }
  const bool wide = name.starts_with("UTF-16") || name.starts_with("UTF-32") || name.starts_with("ISO-10646");
  if (wide && bytes.substr(0, kLookBytes).find('\0') == std::string_view::npos) return std::nullopt;
  // As browsers do: who writes these means the larger set.
  if (name == "ISO-8859-1" || name == "US-ASCII") name = "WINDOWS-1252";
  auto decoded = As(bytes, name);
  if (!decoded || decoded->lossy) return std::nullopt;
  return decoded;
}

}  // namespace

DecodedText DecodeText(std::string_view bytes, std::string_view declared) {
  if (const Mark mark = FindMark(bytes); mark.bytes > 0) {
    const std::string_view rest = bytes.substr(mark.bytes);
    if (mark.charset == "UTF-8") return AsUtf8(rest);
    if (auto decoded = As(rest, std::string(mark.charset))) return *std::move(decoded);
  }
  if (!declared.empty()) {
    if (auto decoded = AsDeclared(bytes, declared)) return *std::move(decoded);
  }
  const std::string_view wide = LooksUtf16(bytes);
  const bool shifted = HasShiftSequences(bytes);
  if (wide.empty() && !shifted && IsUtf8(bytes)) return Utf8Text(std::string(bytes), false);
  const std::string guess = wide.empty() ? Guess(bytes) : std::string(wide);
  std::optional<DecodedText> guessed;
  if (!guess.empty() && guess != "UTF-8" && guess != "ASCII") guessed = As(bytes, guess);
  if (guessed && !guessed->lossy) return *std::move(guessed);
  DecodedText utf8 = AsUtf8(bytes);
  // A few bad bytes in what is UTF-8 else: that is what it is. Without any character of several bytes it is not.
  const auto multibyte = static_cast<std::size_t>(
      std::count_if(utf8.text.begin(), utf8.text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0xc2; }));
  const std::size_t bad = CountReplacements(utf8.text);
  if (guess == "UTF-8" || multibyte - std::min(multibyte, bad) > 2 * bad) return utf8;
  if (guessed) return *std::move(guessed);
  if (auto western = As(bytes, "WINDOWS-1252")) return *std::move(western);
  return utf8;
}

std::string DecodeForLooking(std::string_view bytes) {
  const bool decode = FindMark(bytes).bytes > 0 || !LooksUtf16(bytes).empty() || HasShiftSequences(bytes);
  return decode ? DecodeText(bytes).text : ReplaceBadUtf8(bytes);
}

namespace {

constexpr std::size_t kCountedBytes = 240;  // what a byte can count

// Control characters that text has no use for. Bitwise, so that there are no branches.
bool Strange(char c) {
  const auto byte = static_cast<std::uint8_t>(c);
  const bool control = byte < ' ';
  const bool line = static_cast<std::uint8_t>(byte - 8) <= 13 - 8;
  return static_cast<int>(byte == 0x7f) | (static_cast<int>(control) & static_cast<int>(!line) &
                                           static_cast<int>(byte != 0x1b) & static_cast<int>(byte != 0x1a));
}

}  // namespace

bool LooksBinary(std::string_view bytes) {
  if (FindMark(bytes).bytes > 0 || !LooksUtf16(bytes).empty()) return false;
  const std::string_view look = bytes.substr(0, kLookBytes);
  if (look.find('\0') != std::string_view::npos) return true;
  std::size_t strange = 0;
  // In short pieces and without branches, which compilers make wide instructions of.
  for (std::size_t at = 0; at < look.size(); at += kCountedBytes) {
    std::uint8_t count = 0;
    for (const char c : look.substr(at, kCountedBytes)) count = static_cast<std::uint8_t>(count + (Strange(c) ? 1 : 0));
    strange += count;
  }
  return strange * 30 > look.size();
}

}  // namespace millrace::documents
