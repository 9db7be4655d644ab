#include "pipelines/documents/words.h"

#include "base/try.h"

namespace millrace::documents {

Result<storage::Tokenizer*> ThreadTokenizer() {
  static thread_local std::unique_ptr<storage::Tokenizer> tokenizer;
  if (tokenizer == nullptr) {
    MILLRACE_ASSIGN(tokenizer, storage::Tokenizer::Open());
  }
  return tokenizer.get();
}

Result<Phrase> PhraseOf(const Term& term) {
  MILLRACE_ASSIGN(storage::Tokenizer * tokenizer, ThreadTokenizer());
  Phrase phrase;
  phrase.prefix = term.prefix;
  const auto kind = term.prefix ? storage::Tokenizer::Text::kPrefix : storage::Tokenizer::Text::kQuery;
  MILLRACE_TRY(
      tokenizer->Split(term.text, kind, [&](const storage::Token& token) { phrase.words.emplace_back(token.word); }));
  return phrase;
}

}  // namespace millrace::documents
