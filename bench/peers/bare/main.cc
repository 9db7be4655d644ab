// The bare limit of Millrace's row plane: the driver's own statements in a plain loop over one connection, without
// engine, slots, heartbeats or wake-ups around it. What the engine adds is the difference to the peer millrace.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <iostream>
#include <memory>
#include <optional>
#include <vector>

#include "peers/peer.h"
#include "storage/postgres/connection.h"
#include "storage/postgres/statements.h"

namespace millrace::bench {
namespace {

using storage::postgres::Call;
using storage::postgres::Connection;
using storage::postgres::Params;
using storage::postgres::ResultSet;
using storage::postgres::Statements;

constexpr int kBatch = 500;
constexpr std::int16_t kCompleted = 5, kDefaultPriority = 2;
constexpr std::int64_t kClaimTimeout = 300'000'000;  // microseconds

// Columns of claim_row, see src/storage/postgres/migrations/001_engine.up.sql.
enum Column : int { kStep = 0, kId = 1, kRunAt = 2, kToken = 5, kAttempt = 8, kArgs = 17 };

std::unique_ptr<Connection> Open(const std::string& url) {
  storage::postgres::ConnectOptions options;
  options.url = url;
  return Must(Connection::Open(options));
}

template <class T>
std::vector<T> Same(std::size_t count, T value) {
  return std::vector<T>(count, value);
}

using Texts = std::vector<std::optional<std::string_view>>;

// The parameters of insert_jobs, as the driver sends them for jobs that name nothing but kind and args.
Params InsertParams(const std::vector<std::string>& args) {
  const std::size_t count = args.size();
  Params params;
  params.Texts(Same<std::string_view>(count, "noop")).Texts(std::span<const std::string>(args));
  params.Texts(Same<std::string_view>(count, "default")).Int2s(Same(count, kDefaultPriority));
  params.UntypedNull().UntypedNull();  // due at once
  params.Int4s(Same<std::int32_t>(count, 4)).Int4s(Same<std::int32_t>(count, 3)).Ints(Same<std::int64_t>(count, 0));
  params.NullableTexts(Texts(count)).NullableTexts(Texts(count)).Ints(Same<std::int64_t>(count, 0));
  params.NullableTexts(Texts(count)).UntypedNull().Bool(true);
  return std::move(params.UntypedNull().UntypedNull().UntypedNull());  // waiting for no other jobs
}

void Enqueue(const std::string& url, std::int64_t jobs) {
  const Statements statements("millrace");
  auto connection = Open(url);
  std::vector<std::string> args;
  const double start = WallSeconds();
  for (std::int64_t first = 0; first < jobs; first += kBatch) {
    args.clear();
    for (std::int64_t i = first; i < std::min(jobs, first + kBatch); ++i) args.push_back(ArgsOf(i));
    (void)Must(connection->Run(statements.enqueue, InsertParams(args)));
  }
  std::cout << "seconds " << WallSeconds() - start << std::endl;
}

// One connection that claims, takes the handlers as run, and reports with the next claim in the same round trip.
class Loop {
 public:
  Loop(const std::string& url, Timeline& timeline)
      : timeline_(timeline), connection_(Open(url)), id_("bare-" + std::to_string(getpid())) {
    Params params;
    params.Text(id_).Text("all").Text("localhost").Int(getpid()).Int4(kBatch).Text("{}");
    params.Texts(std::vector<std::string_view>{"noop"});
    incarnation_ = Must(connection_->Run(statements_.register_worker, params)).row(0).integer(0);
  }

  void Run() {
    ResultSet claimed = Must(connection_->Run(statements_.claim, ClaimParams({})));
    while (!stopped_ && claimed.row(0).integer(kStep) == 1) claimed = ReportAndClaim(claimed);
  }
  void Stop() { stopped_ = true; }

 private:
  // after: what was claimed last; the claim goes on from where that ended.
  [[nodiscard]] Params ClaimParams(const ResultSet& after) {
    Params params;
    params.Text(id_).Int(incarnation_).Int4(kBatch).Int4(kBatch).UntypedNull();
    params.Int2s(std::vector<std::int16_t>{0, 1, 2, 3, 4}).Int(kClaimTimeout);
    if (after.rows() == kBatch) {
      params.Text("default").Int2(kDefaultPriority).Time(after.row(kBatch - 1).time(kRunAt));
    } else {
      params.NullText().UntypedNull().NullTime();
    }
    return std::move(params.Int(++claims_));
  }

  // Also runs the handlers, such as they are.
  Params ReportParams(const ResultSet& claimed) {
    const auto count = static_cast<std::size_t>(claimed.rows());
    std::vector<std::int64_t> ids, tokens;
    std::vector<std::int32_t> attempts;
    for (int i = 0; i < claimed.rows(); ++i) {
      const ResultSet::Row row = claimed.row(i);
      timeline_.Record(IndexOf(row.text(kArgs)), WallSeconds());
      ids.push_back(row.integer(kId));
      attempts.push_back(static_cast<std::int32_t>(row.integer(kAttempt)));
      tokens.push_back(row.integer(kToken));
    }
    Params params;
    params.Text(id_).Int(incarnation_).Ints(ids).Int4s(attempts).Ints(tokens).Int2s(Same(count, kCompleted));
    params.Ints(Same<std::int64_t>(count, -1)).Int4s(Same<std::int32_t>(count, 0));
    params.NullableTexts(Texts(count)).NullableTexts(Texts(count)).NullableTexts(Texts(count));
    params.Bools(std::vector<bool>(count, false)).Int4s({});
    // Nothing is emitted.
    params.NullableTexts({}).NullableTexts({}).NullableTexts({}).Int2s({}).UntypedNull().UntypedNull();
    params.Int4s({}).Int4s({}).Ints({}).NullableTexts({}).NullableTexts({}).NullableTexts({});
    params.UntypedNull().UntypedNull().UntypedNull();
    return params;
  }

  ResultSet ReportAndClaim(const ResultSet& claimed) {
    const Params report = ReportParams(claimed), claim = ClaimParams(claimed);
    const std::array<Call, 2> calls = {Call{&statements_.report, &report}, Call{&statements_.claim, &claim}};
    std::vector<ResultSet> results = Must(connection_->Pipeline(calls));
    if (results[0].row(0).text(0) != std::string(static_cast<std::size_t>(claimed.rows()), '1'))
      throw std::runtime_error("a report was refused");
    return std::move(results[1]);
  }

  Timeline& timeline_;
  const Statements statements_{"millrace"};
  std::unique_ptr<Connection> connection_;
  std::string id_;
  std::int64_t incarnation_ = 0;
  std::int64_t claims_ = 0;
  std::atomic<bool> stopped_{false};
};

Peer::Work Work(const std::string& url, Timeline& timeline) {
  auto loop = std::make_shared<Loop>(url, timeline);
  return {[loop] { loop->Run(); }, [loop] { loop->Stop(); }};
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  using namespace millrace::bench;  // NOLINT(google-build-using-namespace)
  return PeerMain(argc, argv,
                  {[] {
                     return "the statements of this source tree; batches of " + std::to_string(kBatch) +
                            ", one connection per process";
                   },
                   Enqueue, nullptr, Work});
}
