// The part of a found text that says most about why it was found.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "pipelines/documents/words.h"

namespace millrace::documents {

struct SnippetStyle {
  std::string mark_begin, mark_end;
  int words = 24;
};

// Of the texts, which are an element's columns, the window of `words` words in which most of the phrases stand, rather
// at the start of a sentence than not, with each match marked and "..." where it was cut. It is what FTS5's snippet()
// gives. Fails as the tokenizer does.
Result<std::string> MakeSnippet(std::span<const std::string_view> texts, std::span<const Phrase> phrases,
                                const SnippetStyle& style);

// Whether one of the phrases stands in the text. Fails as the tokenizer does.
Result<bool> AnyStandsIn(std::string_view text, std::span<const Phrase> phrases);

}  // namespace millrace::documents
