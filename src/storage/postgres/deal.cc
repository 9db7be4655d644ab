#include "storage/postgres/deal.h"

#include <algorithm>
#include <array>
#include <set>
#include <tuple>
#include <utility>

namespace millrace::storage::postgres {
namespace {

class Table {
 public:
  Table(const Offer& offer, int max_held) : rooms_(offer.rooms), now_(offer.now), held_left_(max_held) {
    for (const Candidate& candidate : offer.candidates)
      lanes_[static_cast<std::size_t>(candidate.priority)].push_back(&candidate);
    for (auto& lane : lanes_) {
      std::sort(lane.begin(), lane.end(), [](const Candidate* a, const Candidate* b) {
        return std::tie(a->run_at, a->id) < std::tie(b->run_at, b->id);
      });
    }
  }

  // The job that goes next in each priority, and how long it has waited.
  engine::LaneWaits Waits() {
    engine::LaneWaits waits;
    for (std::size_t p = 0; p < lanes_.size(); ++p) {
      // What may not be taken now may not be taken later either: rooms only shrink while dealing.
      while (next_[p] < lanes_[p].size() && !Allowed(*lanes_[p][next_[p]])) ++next_[p];
      if (next_[p] < lanes_[p].size()) waits[p] = now_ - lanes_[p][next_[p]]->run_at;
    }
    return waits;
  }

  const Candidate& Take(Priority priority) {
    const auto p = static_cast<std::size_t>(priority);
    const Candidate& taken = *lanes_[p][next_[p]++];
    const auto room = rooms_.find(taken.queue);
    if (room != rooms_.end()) --room->second;
    if (room != rooms_.end() || !taken.partition_key.empty()) --held_left_;
    return taken;
  }

 private:
  [[nodiscard]] bool Allowed(const Candidate& candidate) const {
    const auto room = rooms_.find(candidate.queue);
    const bool held = room != rooms_.end() || !candidate.partition_key.empty();
    return !(held && held_left_ <= 0) && (room == rooms_.end() || room->second > 0);
  }

  std::array<std::vector<const Candidate*>, kPriorityCount> lanes_;
  std::array<std::size_t, kPriorityCount> next_{};
  std::map<std::string, std::int64_t> rooms_;
  Time now_;
  int held_left_;
};

using Lane = std::pair<std::string, Priority>;

std::vector<JobId> Spares(const Offer& offer, const std::set<Lane>& lanes, std::set<std::string> keys) {
  std::vector<const Candidate*> spares;
  for (const Candidate& candidate : offer.candidates) {
    if (!candidate.partition_key.empty() && lanes.contains({candidate.queue, candidate.priority})) {
      spares.push_back(&candidate);
    }
  }
  std::sort(spares.begin(), spares.end(), [](const Candidate* a, const Candidate* b) {
    return std::tie(a->priority, a->run_at, a->id) < std::tie(b->priority, b->run_at, b->id);
  });
  std::vector<JobId> ids;
  for (const Candidate* spare : spares) {
    if (keys.insert(spare->partition_key).second) ids.push_back(spare->id);
  }
  return ids;
}

}  // namespace

Plan Deal(const Offer& offer, int max_jobs, int max_held, engine::FairShare& share) {
  Table table(offer, max_held);
  Plan plan;
  std::map<Lane, int> quotas;
  std::set<Lane> lanes;
  std::set<std::string> keys;
  while (static_cast<int>(plan.order.size()) < max_jobs) {
    const auto priority = share.Next(table.Waits());
    if (!priority) break;
    const Candidate& taken = table.Take(*priority);
    plan.order.push_back(taken.id);
    if (taken.partition_key.empty()) {
      ++quotas[{taken.queue, taken.priority}];
    } else {
      plan.partitioned.push_back(taken.id);
      lanes.insert({taken.queue, taken.priority});
      keys.insert(taken.partition_key);
    }
  }
  plan.spares = Spares(offer, lanes, std::move(keys));
  for (const auto& [lane, jobs] : quotas) plan.quotas.push_back({lane.first, lane.second, jobs});
  return plan;
}

}  // namespace millrace::storage::postgres
