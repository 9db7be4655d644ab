#include "storage/conformance/suite.h"
namespace millrace::storage {
void LinkRandomSuite() {}
}  // namespace millrace::storage
