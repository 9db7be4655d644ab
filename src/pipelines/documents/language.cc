#include "pipelines/documents/language.h"

// clang-format off
#include <cstdio>  // CLD2's header needs it and forgets it
#include <cld2/public/compact_lang_det.h>
// clang-format on

#include <algorithm>

#include "pipelines/documents/parser_protocol.h"

namespace millrace::documents {

std::string DetectLanguage(std::string_view text) {
  constexpr std::size_t kMinBytes = 24;  // less is a guess
  constexpr std::size_t kMaxBytes = 64 << 10;
  text = CutUtf8(text, kMaxBytes);
  if (text.size() < kMinBytes || !IsUtf8(text)) return {};
  bool reliable = false;
  const CLD2::Language language =
      CLD2::DetectLanguage(text.data(), static_cast<int>(text.size()), /*is_plain_text=*/true, &reliable);
  if (!reliable || language == CLD2::UNKNOWN_LANGUAGE) return {};
  std::string code = CLD2::LanguageCode(language);
  code.resize(std::min(code.find('-'), code.size()));  // "zh-Hant": the language alone
  if (code == "iw") code = "he";                       // its name before 1989
  return code.size() == 2 && code != "un" ? code : std::string();
}

}  // namespace millrace::documents
