// SQLite: an FTS5 index beside the elements, which keeps no copy of their text.
#include "base/try.h"
#include "documents_sqlite_queries.h"
#include "pipelines/documents/dialect.h"

namespace millrace::documents {
namespace {

namespace text = queries::sqlite;

Queries MakeQueries() {
  Queries queries;
  SetCommonQueries(queries, "main");
  queries.read_known = text::kReadKnown;
  queries.find_document = text::kFindDocument;
  queries.search = text::kSearch;
  queries.count_reread = text::kCountReread;
  queries.reread = text::kReread;
  queries.keep_report = text::kKeepReport;
  queries.next_source = text::kNextSource;
  queries.document_sizes = text::kDocumentSizes;
  return queries;
}

// One by one: a statement costs no round trip.
class Writer : public ElementWriter {
 public:
  explicit Writer(SqlSession& sql) : sql_(sql) {}

  Result<void> Put(const NewElement& put) override {
    const Element& e = *put.element;
    const SqlValue metadata = e.metadata.empty() ? SqlValue() : SqlValue(std::string_view(e.metadata));
    const SqlValue values[] = {put.id,
                               std::int64_t{e.parent},
                               ElementTypeName(e.type),
                               std::int64_t{e.level},
                               std::string_view(e.location),
                               std::string_view(e.text),
                               metadata};
    MILLRACE_TRY(sql_.execute(text::kPutElement, values));
    if (put.name.empty() && e.text.empty()) return {};
    const SqlValue entry[] = {put.id, put.name, std::string_view(e.text)};
    return sql_.execute(text::kIndexElement, entry);
  }
  Result<void> Finish() override { return {}; }

 private:
  SqlSession& sql_;
};

// FTS5 takes anything between double quotes as text, but for a zero byte.
void AppendTerms(std::span<const Term> terms, std::string_view between, std::string& out) {
  for (const Term& term : terms) {
    if (&term != terms.data()) out += between;
    out += '"';
    for (const char c : term.text) out += IsSpaceByte(c) ? ' ' : c;
    out += term.prefix ? "\"*" : "\"";
  }
}

class SqliteDialect : public Dialect {
 public:
  [[nodiscard]] const Queries& queries() const override { return queries_; }
  [[nodiscard]] std::unique_ptr<ElementWriter> WriteElements(SqlSession& sql) const override {
    return std::make_unique<Writer>(sql);
  }
  Result<void> Unindex(SqlSession& sql, std::int64_t doc) const override {
    const SqlValue key[] = {doc};
    return sql.execute(text::kUnindexElements, key);
  }
  Result<void> CheckIndex(storage::Storage& storage) const override {
    return storage.Transact(
        [](storage::Transaction& transaction) { return transaction.sql().execute(text::kCheckIndex); });
  }
  [[nodiscard]] Result<std::string> MatchOf(std::span<const Alternative> query) const override {
    std::string out;
    for (const Alternative& alternative : query) {
      if (!out.empty()) out += " OR ";
      out += "((";
      AppendTerms(alternative.wanted, " ", out);
      out += ')';
      if (!alternative.unwanted.empty()) {
        out += " NOT (";
        AppendTerms(alternative.unwanted, " OR ", out);
        out += ')';
      }
      out += ')';
    }
    return out;
  }

 private:
  const Queries queries_ = MakeQueries();
};

}  // namespace

std::unique_ptr<Dialect> MakeSqliteDialect() { return std::make_unique<SqliteDialect>(); }

}  // namespace millrace::documents
