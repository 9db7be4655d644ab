#include "cli/stress/ledger.h"

#include <fmt/format.h>

#include "base/try.h"

namespace millrace::cli::stress {
namespace {

// Turns of a partition's workers, in the order of their writes: the tokens of each are above those of the one before.
std::string FallingTokensQuery(const std::string& witness) {
  return "WITH step AS (SELECT *, (worker IS DISTINCT FROM lag(worker) OVER w)::int AS changed FROM " + witness +
         " WHERE partition_key <> '' WINDOW w AS (PARTITION BY partition_key ORDER BY done)),"
         " turn AS (SELECT *, sum(changed) OVER (PARTITION BY partition_key ORDER BY done) AS turn FROM step),"
         " span AS (SELECT partition_key, turn, min(token) AS low, max(token) AS high, max(number) AS number FROM turn"
         " GROUP BY 1, 2),"
         " pair AS (SELECT lag(number) OVER w AS first, number AS second, lag(high) OVER w AS before, low FROM span"
         " WINDOW w AS (PARTITION BY partition_key ORDER BY turn))"
         " SELECT first, second FROM pair WHERE before >= low ORDER BY 1, 2 LIMIT 1000";
}

}  // namespace

Ledger::Ledger(const Options& options) : postgres_(options.postgres) {
  place_ = postgres_ ? "schema millrace_stress_" + options.id : "tables millrace_stress_" + options.id + "_*";
  const std::string prefix = "millrace_stress_" + options.id + (postgres_ ? "." : "_");
  const std::string ordered = prefix + "ordered";
  const std::string witness = prefix + "witness";
  const std::string witness_columns =
      "(number bigint NOT NULL, job bigint NOT NULL, attempt bigint NOT NULL, worker text NOT NULL, partition_key text "
      "NOT NULL, entered bigint NOT NULL, done bigint NOT NULL, token bigint)";
  ordered_ = "SELECT coalesce(max(number), 0) FROM " + ordered;
  orders_ = "SELECT number, job FROM " + ordered;
  witnesses_ = "SELECT number, job, attempt, worker, token FROM " + witness;
  if (postgres_) {
    make_ = {"CREATE SCHEMA IF NOT EXISTS millrace_stress_" + options.id,
             "CREATE SEQUENCE IF NOT EXISTS " + prefix + "step",
             "CREATE TABLE IF NOT EXISTS " + ordered + " (number bigint PRIMARY KEY, job bigint NOT NULL)",
             "CREATE TABLE IF NOT EXISTS " + witness + " " + witness_columns,
             // For the look for overlaps: without it every write would be compared with all others of its partition.
             "CREATE INDEX IF NOT EXISTS witness_partition ON " + witness +
                 " (partition_key, entered) WHERE partition_key <> ''"};
    drop_ = {"DROP SCHEMA IF EXISTS millrace_stress_" + options.id + " CASCADE"};
    order_ = "INSERT INTO " + ordered +
             " SELECT (o ->> 0)::bigint, (o ->> 1)::bigint FROM jsonb_array_elements($1::jsonb) AS o";
    enter_ = "SELECT nextval('" + prefix + "step')";
    // The token is there while this very attempt has the job, and NULL otherwise.
    const std::string token = "(SELECT token FROM " + options.storage.schema +
                              ".job WHERE id = $2::bigint AND attempt = $3::bigint AND state = 3 AND incarnation = "
                              "(SELECT max(incarnation) FROM " +
                              options.storage.schema + ".worker WHERE id = $4::text))";
    write_ = "INSERT INTO " + witness +
             " VALUES ($1::bigint, $2::bigint, $3::bigint, $4::text, $5::text, $6::bigint, nextval('" + prefix +
             "step'), " + token + ")";
    overlaps_ =
        "SELECT a.number, b.number FROM " + witness + " AS a JOIN " + witness +
        " AS b ON b.partition_key = a.partition_key AND b.worker <> a.worker AND b.entered > a.entered"
        " AND b.entered < a.done WHERE a.partition_key <> '' AND b.partition_key <> '' ORDER BY 1, 2 LIMIT 1000";
    falling_ = FallingTokensQuery(witness);
    at_once_ =
        "SELECT coalesce(max(n), 0) FROM (SELECT sum(d) OVER (ORDER BY step) AS n FROM (SELECT entered, 1 FROM " +
        witness + " WHERE entered > 0 UNION ALL SELECT done, -1 FROM " + witness +
        " WHERE entered > 0) AS s (step, d)) AS sums";
  } else {
    make_ = {"CREATE TABLE IF NOT EXISTS " + ordered + " (number INTEGER PRIMARY KEY, job INTEGER NOT NULL)",
             "CREATE TABLE IF NOT EXISTS " + witness + " " + witness_columns};
    drop_ = {"DROP TABLE IF EXISTS " + ordered, "DROP TABLE IF EXISTS " + witness};
    order_ =
        "INSERT INTO " + ordered + " SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)";
    write_ = "INSERT INTO " + witness + " VALUES (?, ?, ?, ?, ?, ?, 0, 0)";
  }
}

Result<void> Ledger::Make(Client& client) const {
  return client.transaction([&](Transaction& transaction) -> Result<void> {
    for (const std::string& sql : make_) MILLRACE_TRY(transaction.sql().execute(sql));
    return {};
  });
}

Result<void> Ledger::Drop(Client& client) const {
  return client.transaction([&](Transaction& transaction) -> Result<void> {
    for (const std::string& sql : drop_) MILLRACE_TRY(transaction.sql().execute(sql));
    return {};
  });
}

Result<std::int64_t> Ledger::Ordered(SqlSession& sql) const {
  std::int64_t highest = 0;
  MILLRACE_TRY(sql.query(ordered_, {}, [&](const SqlRow& row) {
    highest = row.integer(0);
    return false;
  }));
  return highest;
}

Result<void> Ledger::Order(SqlSession& sql, const std::vector<std::pair<std::int64_t, JobId>>& orders) const {
  std::string json = "[";
  for (const auto& [number, job] : orders) json += fmt::format("{}[{},{}]", json.size() > 1 ? "," : "", number, job);
  json += "]";
  const std::vector<SqlValue> values = {std::string_view(json)};
  return sql.execute(order_, values);
}

Result<std::int64_t> Ledger::Enter(Client& client) const {
  std::int64_t step = 0;
  MILLRACE_TRY(client.transaction([&](Transaction& transaction) {
    return transaction.sql().query(enter_, {}, [&](const SqlRow& row) {
      step = row.integer(0);
      return false;
    });
  }));
  return step;
}

Result<void> Ledger::Write(SqlSession& sql, std::int64_t number, const Job& job, std::int64_t entered) const {
  const std::vector<SqlValue> values = {number,
                                        job.id,
                                        static_cast<std::int64_t>(job.attempt),
                                        std::string_view(job.worker),
                                        std::string_view(job.partition_key),
                                        entered};
  return sql.execute(write_, values);
}

Result<std::map<std::int64_t, JobId>> Ledger::Orders(Client& client) const {
  std::map<std::int64_t, JobId> orders;
  MILLRACE_TRY(client.transaction([&](Transaction& transaction) {
    return transaction.sql().query(orders_, {}, [&](const SqlRow& row) {
      orders[row.integer(0)] = row.integer(1);
      return true;
    });
  }));
  return orders;
}

Result<std::vector<Witness>> Ledger::Witnesses(Client& client) const {
  std::vector<Witness> witnesses;
  MILLRACE_TRY(client.transaction([&](Transaction& transaction) {
    return transaction.sql().query(witnesses_, {}, [&](const SqlRow& row) {
      witnesses.push_back({row.integer(0), row.integer(1), static_cast<int>(row.integer(2)), std::string(row.text(3)),
                           !row.is_null(4)});
      return true;
    });
  }));
  return witnesses;
}

Result<std::vector<Pair>> Ledger::Pairs(Client& client, const std::string& sql) const {
  std::vector<Pair> pairs;
  if (!postgres_) return pairs;
  MILLRACE_TRY(client.transaction([&](Transaction& transaction) {
    return transaction.sql().query(sql, {}, [&](const SqlRow& row) {
      pairs.emplace_back(row.integer(0), row.integer(1));
      return true;
    });
  }));
  return pairs;
}

Result<std::vector<Pair>> Ledger::Overlaps(Client& client) const { return Pairs(client, overlaps_); }

Result<std::vector<Pair>> Ledger::FallingTokens(Client& client) const { return Pairs(client, falling_); }

Result<std::int64_t> Ledger::MostAtOnce(Client& client) const {
  std::int64_t most = 0;
  if (!postgres_) return most;
  MILLRACE_TRY(client.transaction([&](Transaction& transaction) {
    return transaction.sql().query(at_once_, {}, [&](const SqlRow& row) {
      most = row.integer(0);
      return false;
    });
  }));
  return most;
}

}  // namespace millrace::cli::stress
