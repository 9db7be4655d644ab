// The schema of a database of either kind, as `millrace migrate` sees it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "millrace/error.h"
#include "runtime/config/config.h"

namespace millrace::cli {

struct SchemaStep {
  int number = 0;
  std::string name;
  bool known = false;  // to this program
  bool applied = false;
  bool breaking = false;
};

class Schema {
 public:
  enum class For { kReading, kWriting, kCreating };

  // kNotFound when there is no such file and it may not be made; kOwned when another process holds a file that is to be
  // written; else what connecting fails with.
  static Result<std::unique_ptr<Schema>> Open(const runtime::Config& config, For purpose);
  virtual ~Schema() = default;

  // By number; known and applied ones together.
  virtual Result<std::vector<SchemaStep>> Steps() = 0;
  // Applies what is missing up to `target` (0: all); takes back every step above `target`, with its data.
  virtual Result<void> Up(int target) = 0;
  virtual Result<void> Down(int target) = 0;
  // An error that names what is not as the migrations make it.
  virtual Result<void> Validate() = 0;
};

}  // namespace millrace::cli
