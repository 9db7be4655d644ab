// PostgreSQL: each element's words stand beside it, under a GIN index.
#include <array>

#include "base/try.h"
#include "documents_postgres_queries.h"
#include "pipelines/documents/dialect.h"
#include "pipelines/documents/word_vector.h"

namespace millrace::documents {
namespace {

namespace text = queries::postgres;

constexpr std::size_t kBatchElements = 1000;
constexpr std::size_t kBatchBytes = 1 << 20;
constexpr std::int64_t kCheckPage = 1000;

// What is not in Queries.
struct OwnQueries {
  std::string put_elements, read_indexed, check_indexed;
};

Queries MakeQueries(std::string_view schema) {
  Queries queries;
  SetCommonQueries(queries, schema);
  queries.read_known = InSchema(text::kReadKnown, schema);
  queries.find_document = InSchema(text::kFindDocument, schema);
  queries.search = InSchema(text::kSearch, schema);
  queries.count_reread = InSchema(text::kCountReread, schema);
  queries.reread = InSchema(text::kReread, schema);
  queries.keep_report = InSchema(text::kKeepReport, schema);
  queries.next_source = InSchema(text::kNextSource, schema);
  queries.document_sizes = InSchema(text::kDocumentSizes, schema);
  return queries;
}

// In batches: a statement costs a round trip.
class Writer : public ElementWriter {
 public:
  Writer(SqlSession& sql, const OwnQueries& queries) : sql_(sql), queries_(queries) {}

  Result<void> Put(const NewElement& put) override {
    const Element& e = *put.element;
    MILLRACE_ASSIGN(const std::string words, WordVector(put.name, e.text));
    auto column = columns_.begin();
    for (const std::string& number : {std::to_string(put.id), std::to_string(e.parent)}) (column++)->Add(number);
    (column++)->Add(ElementTypeName(e.type));
    (column++)->Add(std::to_string(e.level));
    (column++)->Add(e.location);
    (column++)->Add(e.text);
    (column++)->Add(e.metadata.empty() ? std::nullopt : std::optional<std::string_view>(e.metadata));
    column->Add(words);
    bytes_ += e.text.size() + e.location.size() + e.metadata.size() + words.size();
    return ++count_ == kBatchElements || bytes_ >= kBatchBytes ? Finish() : Result<void>();
  }

  Result<void> Finish() override {
    if (count_ == 0) return {};
    std::array<SqlValue, kColumns> values;
    for (std::size_t i = 0; i < kColumns; ++i) values[i] = columns_[i].Take();
    MILLRACE_TRY(sql_.execute(queries_.put_elements, values));
    for (ArrayText& column : columns_) column.Clear();
    count_ = bytes_ = 0;
    return {};
  }

 private:
  static constexpr std::size_t kColumns = 8;
  SqlSession& sql_;
  const OwnQueries& queries_;
  std::array<ArrayText, kColumns> columns_;
  std::size_t count_ = 0, bytes_ = 0;
};

class PostgresDialect : public Dialect {
 public:
  explicit PostgresDialect(std::string_view schema)
      : queries_(MakeQueries(schema)),
        own_{InSchema(text::kPutElements, schema), InSchema(text::kReadIndexed, schema),
             InSchema(text::kCheckIndexed, schema)} {}

  [[nodiscard]] const Queries& queries() const override { return queries_; }
  [[nodiscard]] std::unique_ptr<ElementWriter> WriteElements(SqlSession& sql) const override {
    return std::make_unique<Writer>(sql, own_);
  }
  Result<void> Unindex(SqlSession& /*sql*/, std::int64_t /*doc*/) const override { return {}; }
  Result<void> CheckIndex(storage::Storage& storage) const override {
    return storage.Read([this](SqlSession& sql) -> Result<void> {
      std::int64_t after = -1;
      for (bool more = true; more;) {
        MILLRACE_ASSIGN(more, CheckPage(sql, after));
      }
      return {};
    });
  }
  [[nodiscard]] Result<std::string> MatchOf(std::span<const Alternative> query) const override {
    return WordQuery(query);
  }

 private:
  // Elements after `after`, which becomes the last of them. False when there is none.
  Result<bool> CheckPage(SqlSession& sql, std::int64_t& after) const {
    ArrayText ids, vectors;
    bool some = false;
    Result<void> split;
    const SqlValue page[] = {after, kCheckPage};
    MILLRACE_TRY(sql.query(own_.read_indexed, page, [&](const SqlRow& row) {
      auto words = WordVector(row.text(1), row.text(2));
      if (!words) split = fail(words.error());
      if (!words) return false;
      some = true;
      after = row.integer(0);
      ids.Add(row.text(0));
      vectors.Add(*words);
      return true;
    }));
    MILLRACE_TRY(split);
    if (!some) return false;
    std::int64_t wrong = -1;
    const SqlValue expected[] = {ids.Take(), vectors.Take()};
    MILLRACE_TRY(sql.query(own_.check_indexed, expected, [&](const SqlRow& row) {
      wrong = row.integer(0);
      return false;
    }));
    if (wrong < 0) return true;
    return fail(ErrorCode::kCorrupt, "the full-text index and element " + std::to_string(wrong) + " differ");
  }

  const Queries queries_;
  const OwnQueries own_;
};

}  // namespace

std::unique_ptr<Dialect> MakePostgresDialect(std::string_view schema) {
  return std::make_unique<PostgresDialect>(schema);
}

}  // namespace millrace::documents
