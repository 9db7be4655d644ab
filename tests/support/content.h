// What a database holds once no process owns it, for tests that compare.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "pipelines/documents/store.h"

namespace millrace::tests {

// Everything that follows from the ingested files, as text; equal for equal content. Also checks that the full-text
// index fits the elements and that no job is left unfinished: both fail the test.
std::string Content(const std::filesystem::path& database);

// All documents, by their file name; throws when two have the same one.
std::map<std::string, documents::DocumentRow> Documents(const std::filesystem::path& database);

// How many jobs of `kind` there are in each state, by the state's name.
std::map<std::string, int> JobStates(const std::filesystem::path& database, const std::string& kind);

}  // namespace millrace::tests
