// The words of a text as SQLite's full-text index has them, for whoever must agree with it: an index elsewhere, or a
// snippet. It is that very tokenizer, "porter unicode61 remove_diacritics 2": runs of letters and digits, without case
// and accents, English endings taken off.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

#include "millrace/error.h"

namespace millrace::storage {

struct Token {
  std::string_view word;           // valid during the call it is passed to
  std::size_t begin = 0, end = 0;  // where in the text it was found, in bytes
};

// Not thread-safe: one for each thread.
class Tokenizer {
 public:
  enum class Text { kDocument, kQuery, kPrefix };  // what is split: a text, words looked for, the beginning of a word

  // kInternal when memory is out or SQLite was built without FTS5.
  static Result<std::unique_ptr<Tokenizer>> Open();
  virtual ~Tokenizer() = default;
  // Calls `token` for each word in order. `text` may hold any bytes. kInternal when memory is out.
  virtual Result<void> Split(std::string_view text, Text kind, const std::function<void(const Token&)>& token) = 0;
};

}  // namespace millrace::storage
