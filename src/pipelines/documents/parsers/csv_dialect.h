// How a table in text is written.
#pragma once

#include <cstddef>
#include <string_view>

namespace millrace::documents {

struct CsvDialect {
  char delimiter = ',';
  std::size_t columns = 1;  // of most rows
  bool certain = false;     // the text is such a table whatever its name: several rows, nearly all with as many columns
};

// Looks at the first rows of a text in UTF-8.
CsvDialect SniffCsv(std::string_view text);

}  // namespace millrace::documents
