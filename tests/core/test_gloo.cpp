// Ranks that Gloo connects: processes of their own, which find each other, exchange bytes, and end together.
#include "core/world/gloo.h"

#include <algorithm>
#include <thread>

#include "core/error.h"
#include "tests/core/processes.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

constexpr double kSeconds = 20;

bool has_gloo() {
  if (!gloo_description().empty()) return true;
  MESSAGE("skipped: this build has no Gloo");
  return false;
}

std::unique_ptr<World> meet(const fs::path& folder, int rank, int ranks, double seconds = kSeconds) {
  return make_gloo_world({.folder = folder, .rank = rank, .ranks = ranks}, seconds);
}

/// The bytes that one rank sends another in an exchange.
Bytes message(size_t from, size_t to, size_t bytes) {
  Bytes all(bytes);
  for (size_t i = 0; i < bytes; ++i) all[i] = static_cast<std::byte>(i * 7 + from * 31 + to * 3);
  return all;
}

/// What a rank sends to all and gets of all in an exchange: messages of about so many bytes, and some of
/// none.
struct Post {
  std::vector<Bytes> out, in;
  size_t me, bytes;

  Post(const World& world, size_t about) : me(static_cast<size_t>(world.rank())), bytes(about) {
    for (size_t i = 0; i < static_cast<size_t>(world.size()); ++i) {
      out.push_back(message(me, i, size(me, i)));
      in.emplace_back(size(i, me));
    }
  }
  size_t size(size_t from, size_t to) const { return (from + to) % 3 == 1 ? 0 : bytes + from; }
  World::Outgoing to() const { return {out.begin(), out.end()}; }
  World::Incoming from() { return {in.begin(), in.end()}; }
  void check_all() const {
    for (size_t i = 0; i < in.size(); ++i)
      check(in[i] == message(i, me, size(i, me)), "rank {} got other bytes of rank {}", me, i);
  }
};

void exchange_messages(World& world) {
  int64_t sent = world.bytes_sent();
  for (const size_t bytes : {size_t{1}, size_t{0}, size_t{5'000'011}}) {
    Post post(world, bytes);
    for (size_t i = 0; i < post.out.size(); ++i)
      if (i != post.me) sent += static_cast<int64_t>(post.out[i].size());
    world.exchange(post.to(), post.from());
    post.check_all();
  }
  check(world.bytes_sent() == sent, "counted {} bytes, expected {}", world.bytes_sent(), sent);
  check(world.from_first(world.rank() + 7) == 7, "from_first");
  check(world.place_on_host() == world.rank() && world.ranks_on_host() == world.size(), "one host");
}

}  // namespace

TEST_CASE("gloo: every rank gets what every other has for it") {
  if (!has_gloo()) return;
  for (const int ranks : {2, 3, 5}) {
    CAPTURE(ranks);
    const TemporaryFolder folder;
    for (const RankEnd& end : run_forked(ranks, [&](int rank) {
           const auto world = meet(folder.path(), rank, ranks);
           check(world->rank() == rank && world->size() == ranks, "rank");
           exchange_messages(*world);
           world->barrier();
         }))
      CHECK_MESSAGE(end.status == 0, end.said);
    CHECK(fs::is_empty(folder.path()));
  }
}

TEST_CASE(
    "gloo: open exchanges go on beside each other, and do not mix, whatever the order of their channels") {
  if (!has_gloo()) return;
  const TemporaryFolder folder;
  for (const RankEnd& end : run_forked(3, [&](int rank) {
         const auto world = meet(folder.path(), rank, 3);
         constexpr int kChannels = 4;
         std::vector<std::shared_ptr<Post>> posts;
         std::vector<std::unique_ptr<World::OpenExchange>> open(kChannels);
         for (int i = 0; i < kChannels; ++i)
           posts.push_back(std::make_shared<Post>(*world, static_cast<size_t>(300'000 * i + 5)));
         for (int i = 0; i < kChannels; ++i) {  // each rank begins with another one
           const auto channel = static_cast<size_t>((i + rank) % kChannels);
           open[channel] = world->begin_exchange(static_cast<int>(channel), posts[channel]->to(),
                                                 posts[channel]->from(), posts[channel]);
         }
         exchange_messages(*world);
         int looks = 0;
         while (!open[2]->poll())
           check(++looks < 10'000, "the exchange does not go on by itself"),
               std::this_thread::sleep_for(std::chrono::milliseconds(1));
         for (size_t i : {size_t{3}, size_t{0}, size_t{2}, size_t{1}}) open[i]->finish([] {});
         for (const auto& post : posts) post->check_all();
         // The memory is let go when the exchange has ended.
         open.clear();
         check(posts.front().use_count() == 1, "the memory is still kept");
         world->barrier();
       }))
    CHECK_MESSAGE(end.status == 0, end.said);
}

TEST_CASE("gloo: an exchange that is given up leaves no thread and no memory behind") {
  if (!has_gloo()) return;
  const TemporaryFolder folder;
  const auto ends = run_forked(2, [&](int rank) {
    const auto world = meet(folder.path(), rank, 2);
    if (rank == 1) {
      std::this_thread::sleep_for(std::chrono::seconds(1));
      return;
    }
    const auto post = std::make_shared<Post>(*world, 3'000'000);
    for (int channel = 0; channel < 20; ++channel)
      world->begin_exchange(channel, post->to(), post->from(), post).reset();
    check(post.use_count() == 1, "the memory is still kept");
  });
  for (const RankEnd& end : ends) CHECK_MESSAGE(end.status == 0, end.said);
  CHECK(ends[0].seconds < 10);
}

TEST_CASE("gloo: ranks that do not come are named") {
  if (!has_gloo()) return;
  const TemporaryFolder folder, other;
  const auto ends =
      run_forked(3, [&](int i) { meet(i < 2 ? folder.path() : other.path(), i % 2 + (i == 2), 4, 1); });
  const std::string sentence = "rank 2, rank 3 of 4 processes have not come to " + folder.path().string();
  for (const size_t i : {size_t{0}, size_t{1}}) {
    CHECK(ends[i].status == 1);
    CHECK_MESSAGE(ends[i].said.starts_with(sentence), ends[i].said);
    CHECK(ends[i].seconds < 15);
  }
  CHECK(ends[2].status == 1);
  CHECK(contains(ends[2].said, "rank 0 of 4 processes has not come to "));
  CHECK(fs::is_empty(folder.path()));
}

TEST_CASE(
    "gloo: processes that were told different numbers of processes, and places that are in use, are "
    "refused") {
  if (!has_gloo()) return;
  const TemporaryFolder folder;
  const auto ends = run_forked(2, [&](int rank) { meet(folder.path(), rank, 2 + rank, 2); });
  CHECK(ends[0].status == 2);
  CHECK(contains(ends[0].said, ") was told that it is one of 3 processes, and rank 0 that it is one of 2"));
  CHECK(ends[1].status != 0);  // the other may have gone before this one has looked
  const RankEnd nowhere = run_forked(1, [&](int) { meet(folder / "a" / "b", 0, 2, 2); }).front();
  CHECK(nowhere.status == 2);
  CHECK(contains(nowhere.said, "cannot be made: No such file or directory"));
}

TEST_CASE("gloo: a rank that is killed is missed by the others, in an exchange and in one that is open") {
  if (!has_gloo()) return;
  for (const bool open : {false, true}) {
    CAPTURE(open);
    const TemporaryFolder folder;
    const auto ends = run_forked(3, [&](int rank) {
      const auto world = meet(folder.path(), rank, 3);
      world->watch = {.seconds = kSeconds, .place = "step 7", .advice = "resume"};
      world->barrier();
      if (rank == 1) ::kill(::getpid(), SIGKILL);
      if (!open) return static_cast<void>(world->of_all(rank));
      const auto out = std::make_shared<Bytes>(300), in = std::make_shared<Bytes>(300);
      World::Outgoing to(3, *out);
      World::Incoming from(3, *in);
      for (size_t i = 0; i < 3; ++i) {
        to[i] = to[i].subspan(100 * i, 100);
        from[i] = from[i].subspan(100 * i, 100);
      }
      const auto exchange = world->begin_exchange(0, to, from, in);
      for (int i = 0; i < 10'000 && !exchange->poll(); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    });
    CHECK(ends[1].status == 128 + SIGKILL);
    for (const size_t i : {size_t{0}, size_t{2}}) {
      CHECK(ends[i].status == 3);
      CHECK(ends[i].seconds < 10);
      CHECK_MESSAGE(contains(ends[i].said, ") has ended, and has not reached step 7; resume"), ends[i].said);
    }
    CHECK((contains(ends[0].said, "rank 1 (") || contains(ends[0].said, "rank 2 (")));
  }
}

TEST_CASE("gloo: a rank that hangs is named after the time that is set") {
  if (!has_gloo()) return;
  const TemporaryFolder folder;
  const auto ends = run_forked(3, [&](int rank) {
    const auto world = meet(folder.path(), rank, 3);
    world->watch = {.seconds = 1, .place = "step 7", .advice = "resume"};
    world->barrier();
    if (rank == 2) std::this_thread::sleep_for(std::chrono::seconds(4));
    static_cast<void>(world->of_all(1));
  });
  CHECK(ends[0].status == 3);
  CHECK(contains(ends[0].said, ") has not reached step 7 for 1 s; resume"));
  CHECK_MESSAGE(ends[0].said.starts_with("rank 2 ("), ends[0].said);
  CHECK(ends[0].seconds < 4);
  CHECK(ends[2].status == 3);
}

TEST_CASE("gloo: abort ends a process with its status, and the others by its absence") {
  if (!has_gloo()) return;
  const TemporaryFolder folder;
  const auto ends = run_forked(2, [&](int rank) {
    const auto world = meet(folder.path(), rank, 2);
    world->barrier();
    if (rank == 1) world->abort(5);
    static_cast<void>(world->of_all(rank));
  });
  CHECK(ends[1].status == 5);
  CHECK(ends[0].status == 3);
  CHECK(contains(ends[0].said, "rank 1 ("));
}
