#include "cli/stress/ledger.h"

#include <fmt/format.h>

#include "base/try.h"

namespace millrace::cli::stress {

Ledger::Ledger(const Options& options) : postgres_(options.postgres) {
  place_ = postgres_ ? "schema millrace_stress_" + options.id : "tables millrace_stress_" + options.id + "_*";
  const std::string prefix = "millrace_stress_" + options.id + (postgres_ ? "." : "_");
  const std::string ordered = prefix + "ordered";
  const std::string witness = prefix + "witness";
  const std::string witness_columns =
      "(number bigint NOT NULL, job bigint NOT NULL, attempt bigint NOT NULL, worker text NOT NULL, partition_key text "
      "NOT NULL, entered bigint NOT NULL, done bigint NOT NULL)";
  ordered_ = "SELECT coalesce(max(number), 0) FROM " + ordered;
  orders_ = "SELECT number, job FROM " + ordered;
  witnesses_ = "SELECT number, job FROM " + witness;
  if (postgres_) {
    make_ = {"CREATE SCHEMA IF NOT EXISTS millrace_stress_" + options.id,
             "CREATE SEQUENCE IF NOT EXISTS " + prefix + "step",
             "CREATE TABLE IF NOT EXISTS " + ordered + " (number bigint PRIMARY KEY, job bigint NOT NULL)",
             "CREATE TABLE IF NOT EXISTS " + witness + " " + witness_columns};
    drop_ = {"DROP SCHEMA IF EXISTS millrace_stress_" + options.id + " CASCADE"};
    order_ = "INSERT INTO " + ordered +
             " SELECT (o ->> 0)::bigint, (o ->> 1)::bigint FROM jsonb_array_elements($1::jsonb) AS o";
    enter_ = "SELECT nextval('" + prefix + "step')";
    write_ = "INSERT INTO " + witness + " VALUES ($1, $2, $3, $4, $5, $6, nextval('" + prefix + "step'))";
    overlaps_ = "SELECT a.number, b.number FROM " + witness + " AS a JOIN " + witness +
                " AS b ON b.partition_key = a.partition_key AND b.worker <> a.worker AND b.entered > a.entered"
                " AND b.entered < a.done WHERE a.partition_key <> '' ORDER BY 1, 2 LIMIT 1000";
  } else {
    make_ = {"CREATE TABLE IF NOT EXISTS " + ordered + " (number INTEGER PRIMARY KEY, job INTEGER NOT NULL)",
             "CREATE TABLE IF NOT EXISTS " + witness + " " + witness_columns};
    drop_ = {"DROP TABLE IF EXISTS " + ordered, "DROP TABLE IF EXISTS " + witness};
    order_ =
        "INSERT INTO " + ordered + " SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)";
    write_ = "INSERT INTO " + witness + " VALUES (?, ?, ?, ?, ?, ?, 0)";
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
      witnesses.push_back({row.integer(0), row.integer(1)});
      return true;
    });
  }));
  return witnesses;
}

Result<std::vector<std::pair<std::int64_t, std::int64_t>>> Ledger::Overlaps(Client& client) const {
  std::vector<std::pair<std::int64_t, std::int64_t>> overlaps;
  if (!postgres_) return overlaps;
  MILLRACE_TRY(client.transaction([&](Transaction& transaction) {
    return transaction.sql().query(overlaps_, {}, [&](const SqlRow& row) {
      overlaps.emplace_back(row.integer(0), row.integer(1));
      return true;
    });
  }));
  return overlaps;
}

}  // namespace millrace::cli::stress
