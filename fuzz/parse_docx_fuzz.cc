#include "fuzz/fuzz_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millrace::documents;
  return FuzzParser(ParseDocx, "fuzz.docx", data, size);
}
