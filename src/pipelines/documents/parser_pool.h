// Untrusted documents are parsed in child processes: limited, reused, and killed when they misbehave.
//
// A child is this program run again (`millrace parser-child`), or `millrace-pdf` for PDF, with limits on
// memory and CPU, no environment, and no file but the document (an open descriptor it is sent) and a spool file it
// writes its elements to. What a child does wrong ends that document, never the worker.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/job.h"
#include "pipelines/documents/elements.h"

namespace millrace::documents {

struct ParseLimits {
  std::int64_t max_bytes = 256ll << 20;      // of the document; kLimitExceeded above it
  std::int64_t memory = 1ll << 30;           // address space of the child
  Duration wall = std::chrono::seconds(60);  // per document
  Duration cpu = std::chrono::seconds(60);   // per document
  std::int64_t max_elements = 5'000'000;
  std::int64_t max_output = 1ll << 30;  // bytes of the spool
  int max_depth = 256;                  // of nesting; deeper content is flattened with a warning
  int recycle_after = 2000;             // documents, after which a child is replaced
};

// Why a document could not be parsed, as a word for counting; the Error's message says the rest.
// "unsupported_format", "encrypted", "broken", "too_large", "memory_limit", "timeout", "crashed", "unreadable": of
// those in reasons.h, the ones that are a parser's.
struct ParseFailure {
  std::string reason;
  std::string message;
};

// A parsed document, read from its child's spool: memory does not grow with the document.
class ParsedDocument {
 public:
  virtual ~ParsedDocument() = default;
  [[nodiscard]] virtual const DocumentMetadata& metadata() const = 0;
  [[nodiscard]] virtual const std::vector<std::string>& warnings() const = 0;
  [[nodiscard]] virtual std::int64_t element_count() const = 0;
  // Calls `each` for every element in order, until it returns an error, which is passed on. May be called again.
  virtual Result<void> ForEach(const std::function<Result<void>(const Element&)>& each) = 0;
};

struct ParseInput {
  int fd = -1;       // the document, open for reading, at any offset; stays the caller's
  std::string name;  // its file name, a hint only: content decides
};

// Either a document or a failure with its reason.
struct ParseOutcome {
  std::unique_ptr<ParsedDocument> document;  // holds its child until destroyed
  ParseFailure failure;                      // when document is null
};

// A pool of children, at most one busy per call under way. Thread-safe. Destroying it ends the children.
class ParserPool {
 public:
  // `self` is the millrace program (normally /proc/self/exe), `pdf_helper` the path of millrace-pdf. Children are
  // started when first needed.
  static std::unique_ptr<ParserPool> Create(std::string self, std::string pdf_helper, ParseLimits limits);
  virtual ~ParserPool() = default;
  // Parses one document. An Error is the machine's failure (cannot start a child: kIo; stopped: kCancelled), to be
  // tried again; everything the document itself causes is a ParseFailure.
  virtual Result<ParseOutcome> Parse(const ParseInput& input, std::stop_token stop) = 0;
};

// The child's main loop; returns its exit status. Called by `millrace parser-child`.
int ParserChildMain();

}  // namespace millrace::documents
