// Passing quickly over text that needs no work: words with one space between them.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace millrace::documents {

enum class ByteKind : std::uint8_t {
  kPlain,
  kWhite,  // space, tab, line end, form feed, vertical tab, zero
  kMaybe,  // the first byte of a no-break space or a soft hyphen, or of another character
};

inline constexpr auto kByteKinds = [] {
  std::array<ByteKind, 256> kinds{};
  for (const char c : {' ', '\t', '\n', '\r', '\f', '\v', '\0'})
    kinds[static_cast<unsigned char>(c)] = ByteKind::kWhite;
  kinds[0xC2] = ByteKind::kMaybe;
  return kinds;
}();

inline ByteKind KindOfByte(char c) { return kByteKinds[static_cast<unsigned char>(c)]; }

// Where plain bytes and single spaces between them end, from `at` on. What is passed over does not end with a space.
// The byte before `at` must be plain.
std::size_t PlainTextEnd(std::string_view text, std::size_t at);

}  // namespace millrace::documents
