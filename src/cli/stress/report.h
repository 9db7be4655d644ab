// What a stress run prints.
#pragma once

#include "base/json.h"
#include "cli/stress/run.h"

namespace millrace::cli::stress {

// One line on a terminal's standard error that is written over.
class ProgressLine {
 public:
  explicit ProgressLine(bool shown) : shown_(shown) {}
  void Show(const Progress& progress);
  void Clear();

 private:
  bool shown_;
  bool drawn_ = false;
};

base::json::object ToJson(const Options& options, const Findings& findings);
void PrintFindings(const Options& options, const Findings& findings);

}  // namespace millrace::cli::stress
