// The words of texts and queries, as every database's index has them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/documents/query.h"
#include "storage/tokenizer.h"

namespace millrace::documents {

// This thread's tokenizer. Fails as Tokenizer::Open does. Any thread.
Result<storage::Tokenizer*> ThreadTokenizer();

// One after the other. None when the text has no letter or digit.
struct Phrase {
  std::vector<std::string> words;
  bool prefix = false;  // the last is only the beginning of a word
};
Result<Phrase> PhraseOf(const Term& term);

}  // namespace millrace::documents
