#include "storage/tokenizer.h"

#include <sqlite3.h>

#include <array>
#include <limits>

namespace millrace::storage {
namespace {

struct CloseDatabase {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;

// Tokenizers are to be had from a connection only; an empty database in memory is enough.
fts5_api* ApiOf(sqlite3* db) {
  fts5_api* api = nullptr;
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(db, "SELECT fts5(?1)", -1, &statement, nullptr) == SQLITE_OK) {
    sqlite3_bind_pointer(statement, 1, static_cast<void*>(&api), "fts5_api_ptr", nullptr);
    sqlite3_step(statement);
  }
  sqlite3_finalize(statement);
  return api;
}

int FlagsOf(Tokenizer::Text kind) {
  switch (kind) {
    case Tokenizer::Text::kDocument:
      return FTS5_TOKENIZE_DOCUMENT;
    case Tokenizer::Text::kQuery:
      return FTS5_TOKENIZE_QUERY;
    case Tokenizer::Text::kPrefix:
      return FTS5_TOKENIZE_QUERY | FTS5_TOKENIZE_PREFIX;
  }
  return FTS5_TOKENIZE_DOCUMENT;
}

class SqliteTokenizer : public Tokenizer {
 public:
  SqliteTokenizer(Database db, const fts5_tokenizer& methods, ::Fts5Tokenizer* tokenizer)
      : db_(std::move(db)), methods_(methods), tokenizer_(tokenizer) {}
  ~SqliteTokenizer() override { methods_.xDelete(tokenizer_); }
  SqliteTokenizer(const SqliteTokenizer&) = delete;
  SqliteTokenizer& operator=(const SqliteTokenizer&) = delete;

  Result<void> Split(std::string_view text, Text kind, const std::function<void(const Token&)>& token) override {
    if (text.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
      return fail(ErrorCode::kLimitExceeded, "a text of more than 2 GiB cannot be split into words");
    }
    const auto each = [](void* to, int /*flags*/, const char* word, int size, int begin, int end) {
      (*static_cast<const std::function<void(const Token&)>*>(to))(
          {{word, static_cast<std::size_t>(size)}, static_cast<std::size_t>(begin), static_cast<std::size_t>(end)});
      return SQLITE_OK;
    };
    void* to =
        const_cast<std::function<void(const Token&)>*>(&token);  // NOLINT(google-readability-casting): C takes it
    const char* bytes = text.data() == nullptr ? "" : text.data();
    const int code = methods_.xTokenize(tokenizer_, to, FlagsOf(kind), bytes, static_cast<int>(text.size()), each);
    if (code != SQLITE_OK) return fail(ErrorCode::kInternal, "splitting a text into words: memory is out");
    return {};
  }

 private:
  Database db_;
  fts5_tokenizer methods_;
  ::Fts5Tokenizer* tokenizer_;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> Tokenizer::Open() {
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(":memory:", &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  Database db(handle);
  if (code != SQLITE_OK) return fail(ErrorCode::kInternal, "cannot make a tokenizer: memory is out");
  fts5_api* api = ApiOf(db.get());
  void* context = nullptr;
  fts5_tokenizer methods{};
  ::Fts5Tokenizer* tokenizer = nullptr;
  std::array<const char*, 3> arguments = {"unicode61", "remove_diacritics", "2"};  // as in migrations/002_documents
  const bool made =
      api != nullptr && api->xFindTokenizer(api, "porter", &context, &methods) == SQLITE_OK &&
      methods.xCreate(context, arguments.data(), static_cast<int>(arguments.size()), &tokenizer) == SQLITE_OK;
  if (!made) return fail(ErrorCode::kInternal, "cannot make a tokenizer: this SQLite has no FTS5");
  return std::make_unique<SqliteTokenizer>(std::move(db), methods, tokenizer);
}

}  // namespace millrace::storage
