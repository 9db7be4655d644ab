// What people type to search, taken apart; see SearchRequest for the language.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "millrace/error.h"

namespace millrace::documents {

// A word or a phrase. Contains no double quote.
struct Term {
  std::string text;
  bool prefix = false;  // its last word is only the beginning of one
};

struct Alternative {
  std::vector<Term> wanted;    // all of them, at least one
  std::vector<Term> unwanted;  // none of them
};

// At least one alternative. kInvalidArgument, saying why, when there is nothing to look for, only excluded words, or
// the query is over 4096 bytes or 64 terms.
Result<std::vector<Alternative>> ReadQuery(std::string_view query);

// Whether the byte separates words for people: a space or a control character.
bool IsSpaceByte(char c);

}  // namespace millrace::documents
