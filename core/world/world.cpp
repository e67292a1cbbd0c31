#include "core/world.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "core/error.h"

namespace rcnn {

Share share_of(int64_t items, int rank, int ranks) {
  return {items * rank / ranks, items * (rank + 1) / ranks, items};
}

std::string World::name_of(int rank) const {
  const std::string& host = hosts_.at(static_cast<size_t>(rank));
  return host.empty() ? fmt::format("rank {}", rank) : fmt::format("rank {} ({})", rank, host);
}

int World::place_on_host() const {
  const auto here = hosts_.begin() + rank_;
  return static_cast<int>(std::count(hosts_.begin(), here, *here));
}

int World::ranks_on_host() const {
  return static_cast<int>(std::count(hosts_.begin(), hosts_.end(), hosts_[static_cast<size_t>(rank_)]));
}

int World::ranks_per_machine() const {
  const auto here = static_cast<size_t>(std::count(hosts_.begin(), hosts_.end(), hosts_.front()));
  if (hosts_.size() % here != 0) return 0;
  std::set<std::string> machines;
  for (size_t i = 0; i < hosts_.size(); ++i)
    if (i % here == 0 ? !machines.insert(hosts_[i]).second : hosts_[i] != hosts_[i - 1]) return 0;
  return static_cast<int>(here);
}

void World::count(const Outgoing& to, const Incoming& from) {
  const auto me = static_cast<size_t>(rank_), all = static_cast<size_t>(size());
  check(to.size() == all && from.size() == all, "an exchange of {} ranks got spans for {} and {}", all,
        to.size(), from.size());
  check(to[me].size() == from[me].size(), "{} sends itself {} bytes and expects {}", name_of(rank_),
        to[me].size(), from[me].size());
  for (size_t i = 0; i < all; ++i) {
    if (i == me) continue;
    bytes_sent_ += static_cast<int64_t>(to[i].size());
    if (hosts_[i] != hosts_[me]) bytes_sent_away_ += static_cast<int64_t>(to[i].size());
  }
}

namespace {

void copy_own(std::span<const std::byte> to, std::span<std::byte> from) {
  if (!to.empty() && to.data() != from.data()) std::memcpy(from.data(), to.data(), to.size());
}

}  // namespace

void World::exchange(const Outgoing& to, const Incoming& from) {
  count(to, from);
  const auto me = static_cast<size_t>(rank_);
  copy_own(to[me], from[me]);
  if (size() > 1) exchange_with_others(to, from);
}

/// An exchange that takes place when it is waited for.
class World::Postponed : public OpenExchange {
 public:
  Postponed(World& world, const Outgoing& to, const Incoming& from, std::shared_ptr<const void> memory)
      : world_(world), to_(to), from_(from), memory_(std::move(memory)) {}
  bool poll() override { return done_; }
  void finish(const std::function<void()>&) override {
    if (!done_) world_.exchange_with_others(to_, from_);
    done_ = true;
  }

 private:
  World& world_;
  Outgoing to_;
  Incoming from_;
  std::shared_ptr<const void> memory_;
  bool done_ = false;
};

std::unique_ptr<World::OpenExchange> World::begin_with_others(int, const Outgoing& to, const Incoming& from,
                                                              std::shared_ptr<const void> memory) {
  return std::make_unique<Postponed>(*this, to, from, std::move(memory));
}

std::unique_ptr<World::OpenExchange> World::begin_exchange(int channel, const Outgoing& to,
                                                           const Incoming& from,
                                                           std::shared_ptr<const void> memory) {
  check(channel >= 0 && channel <= kMaxChannel, "an exchange on channel {}; expected 0 to {}", channel,
        kMaxChannel);
  count(to, from);
  const auto me = static_cast<size_t>(rank_);
  copy_own(to[me], from[me]);
  return begin_with_others(channel, to, from, std::move(memory));
}

std::vector<Bytes> World::all_gather(std::span<const std::byte> mine) {
  const std::vector<uint64_t> sizes = of_all<uint64_t>(mine.size());
  std::vector<Bytes> all;
  Incoming from;
  for (const uint64_t bytes : sizes) all.emplace_back(bytes);
  for (Bytes& one : all) from.emplace_back(one);
  exchange(Outgoing(all.size(), mine), from);
  return all;
}

std::vector<Bytes> World::gather(std::span<const std::byte> mine) {
  const std::vector<uint64_t> sizes = of_all<uint64_t>(mine.size());
  std::vector<Bytes> all(is_first() ? sizes.size() : 0);
  Outgoing to(sizes.size());
  Incoming from(sizes.size());
  to[0] = mine;
  for (size_t i = 0; i < all.size(); ++i) {
    all[i].resize(sizes[i]);
    from[i] = all[i];
  }
  exchange(to, from);
  return all;
}

void World::broadcast(std::span<std::byte> data) {
  const auto all = static_cast<size_t>(size());
  Outgoing to(all);
  Incoming from(all);
  if (is_first()) to.assign(all, data);
  from[0] = data;
  exchange(to, from);
}

void World::barrier() {
  Watch patient;
  patient.seconds = 0;
  std::swap(watch, patient);
  static_cast<void>(of_all(std::byte{}));
  std::swap(watch, patient);
}

void World::give_up(const std::vector<int>& missing) const {
  const std::set<int> ranks(missing.begin(), missing.end());
  std::string names;
  for (const int rank : ranks) names += (names.empty() ? "" : ", ") + name_of(rank);
  throw LostRank(fmt::format("{} {} not reached {} for {:g} s{}{}", names, ranks.size() == 1 ? "has" : "have",
                             watch.place, watch.seconds, watch.advice.empty() ? "" : "; ", watch.advice));
}

namespace {

class Alone : public World {
 public:
  Alone() : World(0, {""}) {}
  void abort(int status) override { std::exit(status); }

 private:
  void exchange_with_others(const Outgoing&, const Incoming&) override {}
};

}  // namespace

World& alone() {
  static Alone world;
  return world;
}

}  // namespace rcnn
