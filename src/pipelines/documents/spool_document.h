// A document read from the spool that a parser's process wrote.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "pipelines/documents/parser_protocol.h"

namespace millrace::documents {

// Reads with a buffer that grows only to the largest element. Nothing in the spool is trusted. Not thread-safe.
class SpoolDocument : public ParsedDocument {
 public:
  // `spool` must stay open as long as the document. kCorrupt if what the reply says and the spool do not fit each other
  // or the limits, kIo if it cannot be read.
  static Result<std::unique_ptr<SpoolDocument>> Open(int spool, const ReplyFrame& reply, const ParseLimits& limits);
  ~SpoolDocument() override;
  SpoolDocument(const SpoolDocument&) = delete;
  SpoolDocument& operator=(const SpoolDocument&) = delete;

  // Owns what the document holds, its child for one, until the document is destroyed.
  class Holder {
   public:
    virtual ~Holder() = default;
    // What the child wrote makes no sense: it is not to be used again.
    virtual void Distrust() = 0;
  };
  void Hold(std::unique_ptr<Holder> holder) { holder_ = std::move(holder); }

  [[nodiscard]] const DocumentMetadata& metadata() const override { return trailer_.metadata; }
  [[nodiscard]] const std::vector<std::string>& warnings() const override { return trailer_.warnings; }
  [[nodiscard]] std::int64_t element_count() const override { return static_cast<std::int64_t>(reply_.element_count); }
  // kCorrupt, naming the element, if the spool does not hold what the reply said.
  Result<void> ForEach(const std::function<Result<void>(const Element&)>& each) override;

 private:
  SpoolDocument(int spool, const ReplyFrame& reply) : spool_(spool), reply_(reply) {}
  int spool_;
  ReplyFrame reply_;
  SpoolTrailer trailer_;
  std::string start_;  // the elements when they are few; read when the document was opened
  std::unique_ptr<Holder> holder_;
};

}  // namespace millrace::documents
