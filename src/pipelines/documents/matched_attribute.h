// Which attribute of an XML element a search has found.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "millrace/error.h"
#include "pipelines/documents/words.h"

namespace millrace::documents {

// An XML element's text ends with its attributes as "name=value" (parsers/xml.cc), which its metadata has, too. The
// name of the first of them in which one of the phrases stands; empty when one stands in the text before them, or in
// none. `metadata` may be that of any element. Fails as the tokenizer does.
Result<std::string> MatchedAttribute(std::string_view text, std::string_view metadata, std::span<const Phrase> phrases);

}  // namespace millrace::documents
