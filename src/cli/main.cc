#include <cstdio>
#include <exception>
#include <string_view>

#include "cli/cli.h"
#include "pipelines/documents/parser_pool.h"

int main(int argc, char** argv) {
  // The parser's child must be itself before anything else is initialised: it runs untrusted input under tight limits.
  if (argc > 1 && std::string_view(argv[1]) == "parser-child") return millrace::documents::ParserChildMain();
  try {
    return millrace::cli::Main(argc, argv);
  } catch (const std::exception& error) {
    return millrace::cli::PrintError(error.what(), "the same again; if it happens again, report it",
                                     millrace::cli::kFailed);
  }
}
