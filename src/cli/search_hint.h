// A search worth trying: two words that stand side by side in a document of this database.
#pragma once

#include <string>

#include "storage/storage.h"

namespace millrace::cli {

// "\"quarterly figures\"", found again by a search before it is suggested; or a single word; empty when there is no
// text.
std::string FindSearchHint(storage::Storage& storage);

// The first two neighbouring words of a text, lower-case letters of ASCII with at least five each; or the first such
// word alone; empty when there is none.
std::string PhraseOf(std::string_view text);

}  // namespace millrace::cli
