#include "base/utf8.h"

#include <algorithm>

namespace millrace::base {
namespace {

constexpr std::string_view kReplacement = "\uFFFD";
constexpr std::string_view kCut = "...";

}  // namespace

std::size_t Utf8SequenceLength(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  const std::size_t length = first < 0x80                    ? 1
                             : first >= 0xF5 || first < 0xC2 ? 0
                             : first < 0xE0                  ? 2
                             : first < 0xF0                  ? 3
                                                             : 4;
  if (length == 0 || at + length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return 0;
  }
  if (first == 0xE0 && byte(at + 1) < 0xA0) return 0;
  if (first == 0xED && byte(at + 1) > 0x9F) return 0;  // surrogates
  if (first == 0xF0 && byte(at + 1) < 0x90) return 0;
  if (first == 0xF4 && byte(at + 1) > 0x8F) return 0;
  return length;
}

bool IsCleanUtf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = text[at] == '\0' ? 0 : Utf8SequenceLength(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

bool IsOneLine(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = Utf8SequenceLength(text, at);
    const bool control =
        byte(at) < 0x20 || byte(at) == 0x7F || (length == 2 && byte(at) == 0xC2 && byte(at + 1) < 0xA0);
    if (length == 0 || control) return false;
    at += length;
  }
  return true;
}

std::string ToCleanUtf8(std::string text, std::size_t most) {
  if (text.size() <= most && IsCleanUtf8(text)) return text;
  const std::string_view all = text;
  const std::size_t room = most - std::min(most, kCut.size());
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = text[at] == '\0' ? 0 : Utf8SequenceLength(text, at);
    const std::string_view next = length == 0 ? kReplacement : all.substr(at, length);
    if (out.size() + next.size() > room && text.size() > most) return out + std::string(kCut);
    out += next;
    at += length == 0 ? 1 : length;
  }
  return out;
}

}  // namespace millrace::base
