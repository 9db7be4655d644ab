// PostgreSQL's full-text types and arrays, as text.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "millrace/error.h"
#include "pipelines/documents/query.h"

namespace millrace::documents {

// A tsvector: the words of `name`, weight A, then those of `text`, with a gap that no phrase bridges. What the type
// does not hold is left out, so that every text has one: positions after the 16,383rd word and after the 255th place of
// one word, where phrases are not found but words are; the rest of words longer than 2046 bytes; beyond a megabyte of
// words and positions, first positions, then words. Fails as the tokenizer does.
Result<std::string> WordVector(std::string_view name, std::string_view text);

// A tsquery; empty when nothing can match.
Result<std::string> WordQuery(std::span<const Alternative> query);

// The text form of an array, value by value; no value is NULL.
class ArrayText {
 public:
  void Add(std::optional<std::string_view> value);
  // Valid until the next call. Closes the array.
  [[nodiscard]] std::string_view Take();
  // For the next array.
  void Clear() { text_.clear(); }

 private:
  std::string text_;
};

}  // namespace millrace::documents
