#include "pipelines/documents/parsers/plain_text.h"

#include <cstring>

namespace millrace::documents {
namespace {

// A mask with the high bit of every byte of `word` that is zero.
[[gnu::always_inline]] inline std::uint64_t ZeroBytes(std::uint64_t word) {
  constexpr std::uint64_t kLow = 0x7F7F7F7F7F7F7F7F;
  return ~(((word & kLow) + kLow) | word | kLow);
}

// Whether eight bytes are words with one space between them, as far as these bytes tell.
[[gnu::always_inline]] inline bool PlainWord(std::uint64_t word) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  const std::uint64_t spaces = ZeroBytes(word ^ (kOnes * ' '));
  const std::uint64_t controls = ZeroBytes(word & (kOnes * 0xE0));
  const std::uint64_t maybe = ZeroBytes(word ^ (kOnes * 0xC2));
  return ((spaces & (spaces >> 8)) | controls | maybe) == 0;
}

bool PlainAt(std::string_view text, std::size_t at) {
  return at < text.size() && KindOfByte(text[at]) == ByteKind::kPlain;
}

std::uint64_t Eight(std::string_view text, std::size_t at) {
  std::uint64_t word = 0;
  std::memcpy(&word, text.data() + at, 8);
  return word;
}

// Passes over plain text eight bytes at a time, as far as that goes.
std::size_t PlainWordsEnd(std::string_view text, std::size_t at) {
  for (; at + 8 <= text.size(); at += 8) {
    if (!PlainWord(Eight(text, at)) || (text[at + 7] == ' ' && !PlainAt(text, at + 8))) return at;
  }
  // The last eight once more, or for the first time.
  const bool plain = text.size() >= 8 && PlainWord(Eight(text, text.size() - 8)) && text.back() != ' ';
  return plain ? text.size() : at;
}

}  // namespace

std::size_t PlainTextEnd(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    at = PlainWordsEnd(text, at);
    for (int i = 0; i < 8 && at < text.size(); ++i) {
      if (KindOfByte(text[at]) == ByteKind::kPlain) {
        ++at;
      } else if (text[at] == ' ' && PlainAt(text, at + 1)) {
        at += 2;
      } else {
        return at;
      }
    }
  }
  return at;
}

}  // namespace millrace::documents
