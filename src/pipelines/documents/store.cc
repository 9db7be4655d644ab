#include "pipelines/documents/store.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/json.h"
#include "base/try.h"
#include "base/utf8.h"

namespace millrace::documents {
namespace {

constexpr int kDumpPage = 1000;

constexpr std::array<std::string_view, 4> kStatusNames = {"parsed", "unsupported", "failed", "skipped"};

KnownDocument KnownOf(const SqlRow& row) {
  KnownDocument known;
  known.path = row.text(0);
  known.stamp = {row.integer(1), row.integer(2)};
  known.content_hash = row.text(3);
  known.parser_version = static_cast<int>(row.integer(4));
  known.status = ParseDocumentStatus(row.text(5)).value_or(DocumentStatus::kFailed);
  known.reason = row.text(6);
  known.message = row.text(7);
  return known;
}

DocumentRow DocumentOf(const SqlRow& row) {
  DocumentRow document;
  document.document_id = row.text(0);
  document.source = row.text(1);
  document.path = row.text(2);
  document.stamp = {row.integer(3), row.integer(4)};
  document.content_hash = row.text(5);
  document.status = ParseDocumentStatus(row.text(6)).value_or(DocumentStatus::kFailed);
  document.reason = row.text(7);
  document.message = row.text(8);
  document.media_type = row.text(9);
  document.title = row.text(10);
  document.author = row.text(11);
  document.language = row.text(12);
  document.charset = row.text(13);
  document.pages = row.integer(14);
  document.metadata = row.text(15);
  document.warnings = row.text(16);
  document.elements = row.integer(17);
  document.text_bytes = row.integer(18);
  document.parse_us = row.integer(19);
  document.parsed_at = Time(Duration(row.integer(20)));
  document.run_id = row.integer(21);
  return document;
}

ElementRow ElementOf(const SqlRow& row, std::string_view document_id) {
  ElementRow out;
  out.index = row.integer(0);
  out.element.parent = static_cast<std::int32_t>(row.integer(1));
  out.element.type = ParseElementType(row.text(2)).value_or(ElementType::kParagraph);
  out.element.level = static_cast<std::int16_t>(row.integer(3));
  out.element.location = row.text(4);
  out.element.text = row.text(5);
  out.element.metadata = row.text(6);
  out.element_id = ElementId(document_id, static_cast<std::size_t>(out.index), out.element);
  return out;
}

// Text as every database takes it; in `buffer` if anything had to change.
std::string_view Clean(std::string_view text, std::string& buffer) {
  if (base::IsCleanUtf8(text)) return text;
  buffer.assign(text);
  std::replace(buffer.begin(), buffer.end(), '\0', ' ');
  buffer = base::ToCleanUtf8(std::move(buffer), std::numeric_limits<std::size_t>::max());
  return buffer;
}

std::string Clean(std::string_view text) {
  std::string buffer;
  return std::string(Clean(text, buffer));
}

// What has no column of its own.
std::string MetadataJson(const DocumentMetadata& metadata) {
  base::json::object object;
  const auto put = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) object[name] = value;
  };
  put("subject", metadata.subject);
  put("keywords", metadata.keywords);
  put("created", metadata.created);
  put("modified", metadata.modified);
  put("producer", metadata.producer);
  if (!metadata.extra.empty()) {
    auto extra = base::ParseJson(metadata.extra);
    object["extra"] = extra ? std::move(*extra) : base::json::value(metadata.extra);
  }
  return base::ToJson(object);
}

std::string WarningsJson(const std::vector<std::string>& warnings) {
  base::json::array array;
  for (const std::string& warning : warnings) array.emplace_back(warning);
  return base::ToJson(array);
}

struct Stored {
  std::int64_t doc = 0;
  std::int64_t elements = 0;
  RunId run_id = 0;
};

Result<std::optional<Stored>> FindStored(const StoreSession& session, std::string_view document_id) {
  std::optional<Stored> stored;
  const SqlValue key[] = {document_id};
  MILLRACE_TRY(session.sql.query(session.dialect.queries().find_document, key, [&](const SqlRow& row) {
    stored = Stored{row.integer(0), row.integer(1), row.integer(2)};
    return false;
  }));
  return stored;
}

Result<void> RemoveElements(const StoreSession& session, const Stored& stored) {
  if (stored.elements == 0) return {};
  MILLRACE_TRY(session.dialect.Unindex(session.sql, stored.doc));
  const SqlValue doc[] = {stored.doc};
  return session.sql.execute(session.dialect.queries().delete_elements, doc);
}

Result<void> PutDocument(const StoreSession& session, std::string_view document_id, const DocumentRecord& record,
                         const DocumentMetadata& metadata, std::string_view title,
                         const std::vector<std::string>& warnings) {
  const std::string extra = Clean(MetadataJson(metadata)), warned = Clean(WarningsJson(warnings));
  const std::string reason = Clean(record.reason), message = Clean(record.message), author = Clean(metadata.author);
  const std::string media_type = Clean(metadata.media_type), charset = Clean(metadata.charset);
  const SqlValue hash = record.content_hash.empty() ? SqlValue() : SqlValue(std::string_view(record.content_hash));
  const SqlValue values[] = {document_id,
                             record.source,
                             record.path,
                             record.stamp.size,
                             record.stamp.mtime_ns,
                             hash,
                             std::int64_t{kParserVersion},
                             DocumentStatusName(record.status),
                             reason,
                             message,
                             media_type,
                             title,
                             author,
                             metadata.language,
                             charset,
                             std::int64_t{metadata.pages},
                             extra,
                             warned,
                             record.parse_us,
                             record.now.time_since_epoch().count(),
                             record.run_id};
  return session.sql.execute(session.dialect.queries().put_document, values);
}

// Adds a document's elements and their index entries, and counts them.
class DocumentWriter {
 public:
  DocumentWriter(const StoreSession& session, std::int64_t doc, std::string root_name)
      : first_(doc * kMaxElements),
        root_name_(std::move(root_name)),
        writer_(session.dialect.WriteElements(session.sql)) {}

  Result<void> Put(const Element& element) {
    if (count_ == kMaxElements) return fail(ErrorCode::kLimitExceeded, "a document has more than 16,777,216 elements");
    const bool clean =
        base::IsCleanUtf8(element.text) && base::IsCleanUtf8(element.location) && base::IsCleanUtf8(element.metadata);
    if (!clean) {
      cleaned_ = element;
      for (std::string* text : {&cleaned_.text, &cleaned_.location, &cleaned_.metadata}) *text = Clean(*text);
    }
    const Element& put = clean ? element : cleaned_;
    text_bytes_ += static_cast<std::int64_t>(put.text.size());
    const std::int64_t index = count_++;
    return writer_->Put({first_ + index, index == 0 ? std::string_view(root_name_) : std::string_view(), &put});
  }
  Result<void> Finish() { return writer_->Finish(); }
  [[nodiscard]] std::int64_t count() const { return count_; }
  [[nodiscard]] std::int64_t text_bytes() const { return text_bytes_; }

 private:
  std::int64_t first_;
  std::string root_name_;
  std::unique_ptr<ElementWriter> writer_;
  Element cleaned_;
  std::int64_t count_ = 0, text_bytes_ = 0;
};

void DumpDocument(const DocumentRow& d, std::ostream& out) {
  const auto quoted = [&](const char* name, const std::string& value) {
    if (!value.empty()) out << ' ' << name << '=' << base::JsonQuote(value);
  };
  out << "document " << d.document_id << " source=" << base::JsonQuote(d.source) << " path=" << base::JsonQuote(d.path)
      << " size=" << d.stamp.size << " status=" << DocumentStatusName(d.status);
  quoted("hash", d.content_hash);
  quoted("reason", d.reason);
  quoted("message", d.message);
  quoted("media_type", d.media_type);
  quoted("title", d.title);
  quoted("author", d.author);
  quoted("language", d.language);
  quoted("charset", d.charset);
  out << " pages=" << d.pages << " elements=" << d.elements << " text_bytes=" << d.text_bytes
      << " metadata=" << d.metadata << " warnings=" << d.warnings << '\n';
}

void DumpElement(const ElementRow& row, std::ostream& out) {
  const Element& e = row.element;
  out << "  element " << row.index << ' ' << row.element_id << " parent=" << e.parent
      << " type=" << ElementTypeName(e.type) << " level=" << e.level << " location=" << base::JsonQuote(e.location)
      << " text=" << base::JsonQuote(e.text);
  if (!e.metadata.empty()) out << " metadata=" << e.metadata;
  out << '\n';
}

Result<std::vector<DocumentRow>> PageOfDocuments(const StoreSession& session, const DocumentFilter& filter) {
  std::vector<DocumentRow> page;
  const SqlValue values[] = {
      filter.after_source, filter.after_path, filter.status ? DocumentStatusName(*filter.status) : std::string_view(""),
      filter.source,       filter.media_type, std::int64_t{filter.limit}};
  MILLRACE_TRY(session.sql.query(session.dialect.queries().list_documents, values, [&](const SqlRow& row) {
    page.push_back(DocumentOf(row));
    return true;
  }));
  return page;
}

}  // namespace

std::string_view DocumentStatusName(DocumentStatus status) { return kStatusNames[static_cast<std::size_t>(status)]; }

std::optional<DocumentStatus> ParseDocumentStatus(std::string_view name) {
  for (std::size_t i = 0; i < kStatusNames.size(); ++i) {
    if (kStatusNames[i] == name) return static_cast<DocumentStatus>(i);
  }
  return std::nullopt;
}

Result<std::vector<KnownDocument>> ReadKnown(const StoreSession& session, std::string_view source,
                                             std::string_view after, int limit) {
  std::vector<KnownDocument> known;
  const SqlValue values[] = {source, after, std::int64_t{limit}};
  MILLRACE_TRY(session.sql.query(session.dialect.queries().read_known, values, [&](const SqlRow& row) {
    known.push_back(KnownOf(row));
    return true;
  }));
  return known;
}

Result<std::optional<KnownDocument>> FindKnown(const StoreSession& session, std::string_view source,
                                               std::string_view path) {
  std::optional<KnownDocument> known;
  const std::string document_id = DocumentId(source, path);
  const SqlValue key[] = {document_id};
  MILLRACE_TRY(session.sql.query(session.dialect.queries().find_known, key, [&](const SqlRow& row) {
    known = KnownOf(row);
    return false;
  }));
  return known;
}

std::string IndexedName(std::string_view title, std::string_view path) {
  return std::string(title) + " " + std::string(path);
}

Result<void> ReplaceDocument(const StoreSession& session, const DocumentRecord& record, ParsedDocument* parsed) {
  const std::string document_id = DocumentId(record.source, record.path);
  MILLRACE_ASSIGN(auto stored, FindStored(session, document_id));
  if (stored) MILLRACE_TRY(RemoveElements(session, *stored));
  static const DocumentMetadata kNoMetadata;
  const DocumentMetadata& metadata = parsed != nullptr ? parsed->metadata() : kNoMetadata;
  const std::string title = Clean(metadata.title);
  MILLRACE_TRY(PutDocument(session, document_id, record, metadata, title,
                           parsed != nullptr ? parsed->warnings() : std::vector<std::string>()));
  if (parsed == nullptr) return {};
  if (!stored) {
    MILLRACE_ASSIGN(stored, FindStored(session, document_id));
    if (!stored) return fail(ErrorCode::kInternal, "a document row that was just written is not there");
  }
  DocumentWriter writer(session, stored->doc, IndexedName(title, record.path));
  MILLRACE_TRY(parsed->ForEach([&](const Element& element) { return writer.Put(element); }));
  MILLRACE_TRY(writer.Finish());
  const SqlValue counts[] = {writer.count(), writer.text_bytes(), stored->doc};
  return session.sql.execute(session.dialect.queries().put_counts, counts);
}

Result<void> RefreshDocument(const StoreSession& session, std::string_view source, std::string_view path,
                             FileStamp stamp) {
  const std::string document_id = DocumentId(source, path);
  const SqlValue values[] = {stamp.size, stamp.mtime_ns, document_id};
  return session.sql.execute(session.dialect.queries().refresh_document, values);
}

Result<void> RemoveDocument(const StoreSession& session, std::string_view source, std::string_view path,
                            RunId unless_run) {
  MILLRACE_ASSIGN(const auto stored, FindStored(session, DocumentId(source, path)));
  if (!stored || (unless_run != 0 && stored->run_id == unless_run)) return {};
  MILLRACE_TRY(RemoveElements(session, *stored));
  const SqlValue doc[] = {stored->doc};
  return session.sql.execute(session.dialect.queries().delete_document, doc);
}

Result<DocumentRow> GetDocument(storage::Storage& storage, std::string_view document_id) {
  std::optional<DocumentRow> found;
  MILLRACE_TRY(storage.Read([&](SqlSession& sql) {
    const SqlValue values[] = {document_id};
    return sql.query(DialectOf(storage).queries().get_document, values, [&](const SqlRow& row) {
      found = DocumentOf(row);
      return false;
    });
  }));
  if (!found) return fail(ErrorCode::kNotFound, "no document with id '" + std::string(document_id) + "'");
  return std::move(*found);
}

Result<std::vector<DocumentRow>> ListDocuments(storage::Storage& storage, const DocumentFilter& filter) {
  std::vector<DocumentRow> page;
  MILLRACE_TRY(storage.Read([&](SqlSession& sql) -> Result<void> {
    MILLRACE_ASSIGN(page, PageOfDocuments({storage, sql}, filter));
    return {};
  }));
  return page;
}

Result<std::vector<ElementRow>> ListElements(storage::Storage& storage, std::string_view document_id, std::int64_t from,
                                             int limit) {
  MILLRACE_ASSIGN(const DocumentRow document, GetDocument(storage, document_id));
  std::vector<ElementRow> elements;
  MILLRACE_TRY(storage.Read([&](SqlSession& sql) {
    const SqlValue values[] = {document_id, from, std::int64_t{limit}};
    return sql.query(DialectOf(storage).queries().list_elements, values, [&](const SqlRow& row) {
      elements.push_back(ElementOf(row, document.document_id));
      return true;
    });
  }));
  return elements;
}

Result<void> DumpContent(storage::Storage& storage, std::ostream& out) {
  return storage.Read([&](SqlSession& sql) -> Result<void> {
    DocumentFilter filter;
    filter.limit = kDumpPage;
    while (true) {
      MILLRACE_ASSIGN(const auto page, PageOfDocuments({storage, sql}, filter));
      if (page.empty()) return {};
      for (const DocumentRow& document : page) {
        DumpDocument(document, out);
        const SqlValue values[] = {document.document_id, std::int64_t{0}, kMaxElements};
        MILLRACE_TRY(sql.query(DialectOf(storage).queries().list_elements, values, [&](const SqlRow& row) {
          DumpElement(ElementOf(row, document.document_id), out);
          return true;
        }));
      }
      filter.after_source = page.back().source;
      filter.after_path = page.back().path;
    }
  });
}

Result<void> CheckIndex(storage::Storage& storage) { return DialectOf(storage).CheckIndex(storage); }

}  // namespace millrace::documents
