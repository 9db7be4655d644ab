#include "pipelines/documents/dialect.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace millrace::documents {
namespace {

std::vector<std::string> All(const Queries& q) {
  return {q.read_known,       q.find_known,      q.find_document,   q.put_document,      q.put_counts,
          q.refresh_document, q.delete_elements, q.delete_document, q.get_document,      q.list_documents,
          q.list_elements,    q.search,          q.count_source,    q.slowest_documents, q.failed_documents,
          q.count_reread,     q.reread,          q.keep_report,     q.next_source,       q.document_sizes,
          q.summarize_sources};
}

// SQLite takes $2 for a name and numbers names in the order in which it meets them.
TEST(DialectTest, ParametersStandInTheirOrder) {
  for (const std::string& query : All(MakeSqliteDialect()->queries())) {
    int highest = 0;
    for (std::size_t at = query.find('$'); at != std::string::npos; at = query.find('$', at + 1)) {
      if (at + 1 == query.size() || query[at + 1] < '0' || query[at + 1] > '9') continue;  // of JSON paths
      const int number = std::stoi(query.substr(at + 1));
      EXPECT_LE(number, highest + 1) << query;
      highest = std::max(highest, number);
    }
  }
}

TEST(DialectTest, EveryStatementIsThereAndInItsSchema) {
  const auto sqlite = All(MakeSqliteDialect()->queries());
  const auto postgres = All(MakePostgresDialect("else_where")->queries());
  for (const auto& query : sqlite) EXPECT_FALSE(query.empty());
  for (const auto& query : postgres) {
    EXPECT_NE(query.find("else_where."), std::string::npos) << query;
    EXPECT_EQ(query.find('@'), query.find("@@")) << query;
  }
}

}  // namespace
}  // namespace millrace::documents
