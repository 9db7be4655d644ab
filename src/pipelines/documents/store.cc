#include "pipelines/documents/store.h"

#include <algorithm>
#include <array>

#include "base/json.h"
#include "base/try.h"

namespace millrace::documents {
namespace {

constexpr std::array<std::string_view, 4> kStatusNames = {"parsed", "unsupported", "failed", "skipped"};

constexpr std::string_view kReadKnown =
    "SELECT path, size, mtime_ns, coalesce(content_hash, ''), parser_version, status, reason, message FROM document"
    " WHERE source = ? AND path > ? ORDER BY path LIMIT ?";

constexpr std::string_view kFindKnown =
    "SELECT path, size, mtime_ns, coalesce(content_hash, ''), parser_version, status, reason, message FROM document"
    " WHERE source = ? AND path = ?";

constexpr std::string_view kFindDoc = "SELECT doc, element_count, run_id FROM document WHERE source = ? AND path = ?";

// The index is told what it held from the very view it was filled from, before any of that changes.
constexpr std::string_view kUnindex =
    "INSERT INTO element_fts (element_fts, rowid, name, text)"
    " SELECT 'delete', id, name, text FROM element_text WHERE id >= ?1 << 24 AND id < (?1 + 1) << 24";

constexpr std::string_view kDeleteElements = "DELETE FROM element WHERE id >= ?1 << 24 AND id < (?1 + 1) << 24";

constexpr std::string_view kDeleteDocument = "DELETE FROM document WHERE doc = ?";

constexpr std::string_view kPutDocument =
    "INSERT INTO document (document_id, source, path, size, mtime_ns, content_hash, parser_version, status, reason, "
    "message,"
    " media_type, title, author, language, charset, pages, metadata, warnings, parse_us, parsed_at, run_id)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (source, path) DO UPDATE SET size = excluded.size, mtime_ns = excluded.mtime_ns,"
    " content_hash = excluded.content_hash, parser_version = excluded.parser_version, status = excluded.status,"
    " reason = excluded.reason, message = excluded.message, media_type = excluded.media_type, title = excluded.title,"
    " author = excluded.author, language = excluded.language, charset = excluded.charset, pages = excluded.pages,"
    " metadata = excluded.metadata, warnings = excluded.warnings, element_count = 0, text_bytes = 0,"
    " parse_us = excluded.parse_us, parsed_at = excluded.parsed_at, run_id = excluded.run_id";

constexpr std::string_view kPutElement =
    "INSERT INTO element (id, parent, type, level, location, text, metadata) VALUES (?, ?, ?, ?, ?, ?, ?)";

constexpr std::string_view kIndexElement = "INSERT INTO element_fts (rowid, name, text) VALUES (?, ?, ?)";

constexpr std::string_view kPutCounts = "UPDATE document SET element_count = ?, text_bytes = ? WHERE doc = ?";

constexpr std::string_view kRefresh = "UPDATE document SET size = ?, mtime_ns = ? WHERE source = ? AND path = ?";

constexpr std::string_view kGetDocument =
    "SELECT document_id, source, path, size, mtime_ns, coalesce(content_hash, ''), status, reason, message, "
    "media_type, title,"
    " author, language, charset, pages, metadata, warnings, element_count, text_bytes, parse_us, parsed_at, run_id"
    " FROM document WHERE document_id = ?";

constexpr std::string_view kListDocuments =
    "SELECT document_id, source, path, size, mtime_ns, coalesce(content_hash, ''), status, reason, message, "
    "media_type, title,"
    " author, language, charset, pages, metadata, warnings, element_count, text_bytes, parse_us, parsed_at, run_id"
    " FROM document WHERE (source, path) > (?1, ?2) AND (?3 = '' OR status = ?3) AND (?4 = '' OR source = ?4)"
    " AND (?5 = '' OR media_type = ?5) ORDER BY source, path LIMIT ?6";

constexpr std::string_view kListElements =
    "SELECT id & 16777215, parent, type, level, location, text, coalesce(metadata, '') FROM element"
    " WHERE id >= (SELECT doc FROM document WHERE document_id = ?1) * 16777216 + ?2"
    " AND id < (SELECT doc + 1 FROM document WHERE document_id = ?1) * 16777216 ORDER BY id LIMIT ?3";

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

// Text without zero bytes, which the index and C programs that read the database would cut it at.
std::string_view WithoutZeros(std::string_view text, std::string& buffer) {
  if (text.find('\0') == std::string_view::npos) return text;
  buffer.assign(text);
  std::replace(buffer.begin(), buffer.end(), '\0', ' ');
  return buffer;
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

Result<std::optional<Stored>> FindStored(SqlSession& sql, std::string_view source, std::string_view path) {
  std::optional<Stored> stored;
  const SqlValue key[] = {source, path};
  MILLRACE_TRY(sql.query(kFindDoc, key, [&](const SqlRow& row) {
    stored = Stored{row.integer(0), row.integer(1), row.integer(2)};
    return false;
  }));
  return stored;
}

Result<void> RemoveElements(SqlSession& sql, const Stored& stored) {
  if (stored.elements == 0) return {};
  const SqlValue doc[] = {stored.doc};
  MILLRACE_TRY(sql.execute(kUnindex, doc));
  return sql.execute(kDeleteElements, doc);
}

Result<void> PutDocument(SqlSession& sql, const DocumentRecord& record, const DocumentMetadata& metadata,
                         std::string_view title, const std::vector<std::string>& warnings) {
  const std::string document_id = DocumentId(record.source, record.path);
  const std::string extra = MetadataJson(metadata), warned = WarningsJson(warnings);
  const SqlValue hash = record.content_hash.empty() ? SqlValue() : SqlValue(std::string_view(record.content_hash));
  const SqlValue values[] = {document_id,
                             record.source,
                             record.path,
                             record.stamp.size,
                             record.stamp.mtime_ns,
                             hash,
                             std::int64_t{kParserVersion},
                             DocumentStatusName(record.status),
                             record.reason,
                             record.message,
                             metadata.media_type,
                             title,
                             metadata.author,
                             metadata.language,
                             metadata.charset,
                             std::int64_t{metadata.pages},
                             extra,
                             warned,
                             record.parse_us,
                             record.now.time_since_epoch().count(),
                             record.run_id};
  return sql.execute(kPutDocument, values);
}

// Adds a document's elements and their index entries.
class ElementWriter {
 public:
  ElementWriter(SqlSession& sql, std::int64_t doc, std::string root_name)
      : sql_(sql), first_(doc * kMaxElements), root_name_(std::move(root_name)) {}

  Result<void> Put(const Element& element) {
    if (count_ == kMaxElements) return fail(ErrorCode::kLimitExceeded, "a document has more than 16,777,216 elements");
    const std::int64_t id = first_ + count_;
    const std::string_view text = WithoutZeros(element.text, buffer_);
    const SqlValue metadata = element.metadata.empty() ? SqlValue() : SqlValue(std::string_view(element.metadata));
    const SqlValue values[] = {id,
                               std::int64_t{element.parent},
                               ElementTypeName(element.type),
                               std::int64_t{element.level},
                               std::string_view(element.location),
                               text,
                               metadata};
    MILLRACE_TRY(sql_.execute(kPutElement, values));
    const bool root = count_++ == 0;
    text_bytes_ += static_cast<std::int64_t>(text.size());
    if (text.empty() && !root) return {};
    const SqlValue entry[] = {id, root ? std::string_view(root_name_) : std::string_view(""), text};
    return sql_.execute(kIndexElement, entry);
  }
  [[nodiscard]] std::int64_t count() const { return count_; }
  [[nodiscard]] std::int64_t text_bytes() const { return text_bytes_; }

 private:
  SqlSession& sql_;
  std::int64_t first_;
  std::string root_name_, buffer_;
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

Result<std::vector<DocumentRow>> PageOfDocuments(SqlSession& sql, const DocumentFilter& filter) {
  std::vector<DocumentRow> page;
  const SqlValue values[] = {
      filter.after_source, filter.after_path, filter.status ? DocumentStatusName(*filter.status) : std::string_view(""),
      filter.source,       filter.media_type, std::int64_t{filter.limit}};
  MILLRACE_TRY(sql.query(kListDocuments, values, [&](const SqlRow& row) {
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

Result<std::vector<KnownDocument>> ReadKnown(SqlSession& sql, std::string_view source, std::string_view after,
                                             int limit) {
  std::vector<KnownDocument> known;
  const SqlValue values[] = {source, after, std::int64_t{limit}};
  MILLRACE_TRY(sql.query(kReadKnown, values, [&](const SqlRow& row) {
    known.push_back(KnownOf(row));
    return true;
  }));
  return known;
}

Result<std::optional<KnownDocument>> FindKnown(SqlSession& sql, std::string_view source, std::string_view path) {
  std::optional<KnownDocument> known;
  const SqlValue values[] = {source, path};
  MILLRACE_TRY(sql.query(kFindKnown, values, [&](const SqlRow& row) {
    known = KnownOf(row);
    return false;
  }));
  return known;
}

Result<void> ReplaceDocument(SqlSession& sql, const DocumentRecord& record, ParsedDocument* parsed) {
  MILLRACE_ASSIGN(auto stored, FindStored(sql, record.source, record.path));
  if (stored) MILLRACE_TRY(RemoveElements(sql, *stored));
  static const DocumentMetadata kNoMetadata;
  const DocumentMetadata& metadata = parsed != nullptr ? parsed->metadata() : kNoMetadata;
  std::string buffer;
  const std::string title(WithoutZeros(metadata.title, buffer));
  MILLRACE_TRY(
      PutDocument(sql, record, metadata, title, parsed != nullptr ? parsed->warnings() : std::vector<std::string>()));
  if (parsed == nullptr) return {};
  if (!stored) {
    MILLRACE_ASSIGN(stored, FindStored(sql, record.source, record.path));
    if (!stored) return fail(ErrorCode::kInternal, "a document row that was just written is not there");
  }
  ElementWriter writer(sql, stored->doc, title + " " + record.path);
  MILLRACE_TRY(parsed->ForEach([&](const Element& element) { return writer.Put(element); }));
  const SqlValue counts[] = {writer.count(), writer.text_bytes(), stored->doc};
  return sql.execute(kPutCounts, counts);
}

Result<void> RefreshDocument(SqlSession& sql, std::string_view source, std::string_view path, FileStamp stamp) {
  const SqlValue values[] = {stamp.size, stamp.mtime_ns, source, path};
  return sql.execute(kRefresh, values);
}

Result<void> RemoveDocument(SqlSession& sql, std::string_view source, std::string_view path, RunId unless_run) {
  MILLRACE_ASSIGN(const auto stored, FindStored(sql, source, path));
  if (!stored || (unless_run != 0 && stored->run_id == unless_run)) return {};
  MILLRACE_TRY(RemoveElements(sql, *stored));
  const SqlValue doc[] = {stored->doc};
  return sql.execute(kDeleteDocument, doc);
}

Result<DocumentRow> GetDocument(storage::Storage& storage, std::string_view document_id) {
  std::optional<DocumentRow> found;
  MILLRACE_TRY(storage.Read([&](SqlSession& sql) {
    const SqlValue values[] = {document_id};
    return sql.query(kGetDocument, values, [&](const SqlRow& row) {
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
    MILLRACE_ASSIGN(page, PageOfDocuments(sql, filter));
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
    return sql.query(kListElements, values, [&](const SqlRow& row) {
      elements.push_back(ElementOf(row, document.document_id));
      return true;
    });
  }));
  return elements;
}

Result<void> DumpContent(storage::Storage& storage, std::ostream& out) {
  return storage.Read([&](SqlSession& sql) -> Result<void> {
    DocumentFilter filter;
    while (true) {
      MILLRACE_ASSIGN(const auto page, PageOfDocuments(sql, filter));
      if (page.empty()) return {};
      for (const DocumentRow& document : page) {
        DumpDocument(document, out);
        const SqlValue values[] = {document.document_id, std::int64_t{0}, kMaxElements};
        MILLRACE_TRY(sql.query(kListElements, values, [&](const SqlRow& row) {
          DumpElement(ElementOf(row, document.document_id), out);
          return true;
        }));
      }
      filter.after_source = page.back().source;
      filter.after_path = page.back().path;
    }
  });
}

Result<void> CheckIndex(storage::Storage& storage) {
  return storage.Transact([](storage::Transaction& transaction) {
    return transaction.sql().execute("INSERT INTO element_fts (element_fts, rank) VALUES ('integrity-check', 1)");
  });
}

}  // namespace millrace::documents
