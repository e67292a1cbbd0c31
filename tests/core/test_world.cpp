// Ranks that talk to each other: threads of this process.
#include "core/world.h"

#include <doctest/doctest.h>

#include <stdexcept>

#include "core/error.h"
#include "core/world/device.h"
#include "core/world/packing.h"

using namespace rcnn;

TEST_CASE("world: shares cover the items without a gap and differ by at most one") {
  for (const int ranks : {1, 2, 3, 5, 8})
    for (const int64_t items : {0, 1, 4, 6, 7, 100}) {
      int64_t next = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        const Share share = share_of(items, rank, ranks);
        CHECK(share.begin == next);
        CHECK(share.count() >= items / ranks);
        CHECK(share.count() <= (items + ranks - 1) / ranks);
        CHECK(share.of == items);
        next = share.end;
      }
      CHECK(next == items);
    }
}

TEST_CASE("world: every rank gets what every other has for it, and bytes sent to others are counted") {
  for (const int ranks : {1, 2, 3, 5}) {
    int ran = 0;
    run_ranks(ranks, [&](World& world) {
      ++ran;
      const auto all = static_cast<size_t>(ranks);
      CHECK(world.size() == ranks);
      // Rank r sends rank i (r + 1) bytes of the value 10 r + i.
      std::vector<Bytes> out(all), in(all);
      World::Outgoing to;
      World::Incoming from;
      const auto me = static_cast<size_t>(world.rank());
      for (size_t i = 0; i < all; ++i) {
        out[i].assign(me + 1, static_cast<std::byte>(10 * me + i));
        in[i].resize(i + 1);
        to.emplace_back(out[i]);
        from.emplace_back(in[i]);
      }
      world.exchange(to, from);
      for (size_t i = 0; i < all; ++i) CHECK(in[i] == Bytes(i + 1, static_cast<std::byte>(10 * i + me)));
      CHECK(world.bytes_sent() == static_cast<int64_t>((me + 1) * (all - 1)));

      const std::vector<Bytes> gathered = world.all_gather(out[0]);
      REQUIRE(gathered.size() == all);
      for (size_t i = 0; i < all; ++i) CHECK(gathered[i] == Bytes(i + 1, static_cast<std::byte>(10 * i)));
      CHECK(world.gather(out[0]).size() == (world.is_first() ? all : 0));
      CHECK(world.from_first(world.rank() + 7) == 7);
      CHECK(world.of_all(world.rank()).back() == ranks - 1);
      world.barrier();
    });
    CHECK(ran == ranks);
  }
}

TEST_CASE(
    "world: GPUs are linked if every rank has one of its own and NCCL; otherwise the first fault is named") {
  run_ranks(3, [](World& world) {  // all on one machine
    const LinkEnd a{"0000:01:00.0", ""}, b{"0000:02:00.0", ""}, c{"0000:03:00.0", ""};
    CHECK(why_not_linked(world, {a, b, c}).empty());
    CHECK(why_not_linked(world, {a, b, a}) == "rank 0 and rank 2 share the GPU 0000:01:00.0");
    CHECK(why_not_linked(world, {a, {}, a}) == "rank 1 computes on the CPU");
    const LinkEnd none{"0000:02:00.0", "NCCL is not available: libnccl.so.2"};
    CHECK(why_not_linked(world, {a, none, a}) == "rank 1: NCCL is not available: libnccl.so.2");
    CHECK(link_gpus(world, {}).empty());  // on the CPU there is nothing to choose
    CHECK_FALSE(world.has_device_link());
  });
}

TEST_CASE("world: machines have the same number of ranks each, or none is named") {
  const auto per_machine = [](const std::vector<std::string>& hosts) {
    int found = -1;
    run_ranks(
        static_cast<int>(hosts.size()),
        [&](World& world) {
          found = world.ranks_per_machine();
          // Everyone sends everyone 3 bytes.
          Bytes mine(3), all(3 * hosts.size());
          World::Incoming from;
          for (size_t i = 0; i < hosts.size(); ++i) from.push_back(std::span(all).subspan(3 * i, 3));
          world.exchange(World::Outgoing(hosts.size(), mine), from);
          CHECK(world.bytes_sent() == 3 * static_cast<int64_t>(hosts.size() - 1));
          CHECK(world.bytes_sent_away() == 3 * (world.size() - world.ranks_on_host()));
        },
        false, hosts);
    return found;
  };
  CHECK(per_machine({""}) == 1);
  CHECK(per_machine({"a", "a", "a"}) == 3);
  CHECK(per_machine({"a", "b", "c"}) == 1);
  CHECK(per_machine({"a", "a", "b", "b", "c", "c"}) == 2);
  CHECK(per_machine({"a", "a", "b"}) == 0);
  CHECK(per_machine({"a", "b", "b"}) == 0);
  CHECK(per_machine({"a", "b", "a", "b"}) == 0);
  CHECK(per_machine({"a", "b", "b", "a"}) == 0);
  CHECK(per_machine({"a", "a", "b", "b", "a", "a"}) == 0);
}

TEST_CASE("world: exchanges that are open do not mix with each other, nor with those between them") {
  for (const int ranks : {1, 2, 3, 5}) {
    CAPTURE(ranks);
    run_ranks(ranks, [&](World& world) {
      const auto all = static_cast<size_t>(ranks), me = static_cast<size_t>(world.rank());
      const auto value = [](size_t which, size_t sender, size_t receiver) {
        return static_cast<std::byte>(100 * which + 10 * sender + receiver);
      };
      // Two exchanges on channel 7 and one on channel 0, which the ranks begin at different times.
      std::vector<std::vector<Bytes>> out(3), in(3);
      std::vector<std::unique_ptr<World::OpenExchange>> open(3);
      const auto begin = [&](size_t which, int channel) {
        World::Outgoing to;
        World::Incoming from;
        for (size_t i = 0; i < all; ++i) {
          to.emplace_back(out[which].emplace_back(which + me, value(which, me, i)));
          from.emplace_back(in[which].emplace_back(which + i));
        }
        open[which] = world.begin_exchange(channel, to, from, nullptr);
      };
      for (auto& list : out) list.reserve(all);
      for (auto& list : in) list.reserve(all);
      const bool even = world.rank() % 2 == 0;
      if (even) begin(2, 0);
      begin(0, 7);
      open[0]->poll();
      CHECK(world.of_all(world.rank()).back() == ranks - 1);  // another one between them
      begin(1, 7);
      if (!even) begin(2, 0);
      // In one sequence or the other.
      for (size_t k = 0; k < 3; ++k) {
        const size_t which = even ? k : 2 - k;
        open[which]->finish([&] {
          for (size_t other = 0; other < 3; ++other)
            if (other != which) open[other]->poll();
        });
        CHECK(open[which]->poll());
      }
      for (size_t which = 0; which < 3; ++which)
        for (size_t i = 0; i < all; ++i) CHECK(in[which][i] == Bytes(which + i, value(which, i, me)));
      const auto sent = static_cast<int64_t>((3 + 3 * me) * (all - 1));
      CHECK(world.bytes_sent() == sent + static_cast<int64_t>(sizeof(int) * (all - 1)));
    });
  }
}

TEST_CASE(
    "world: an exchange that is open comes to its end though a rank has left, but not without its bytes") {
  const auto run = [](bool first_sends) {
    run_ranks(2, [&](World& world) {
      Bytes mine(4, static_cast<std::byte>(world.rank())), other(4);
      const World::Outgoing to(2, mine);
      const World::Incoming from(2, other);
      if (world.is_first() && !first_sends) return;
      const auto open = world.begin_exchange(0, to, from, nullptr);
      if (world.is_first()) return;
      open->finish([] {});
      CHECK(other == Bytes(4));
    });
  };
  run(true);
  CHECK_THROWS_WITH_AS(run(false), "another rank has ended", Error);
  CHECK_THROWS_WITH_AS(alone().begin_exchange(-1, {{}}, {{}}, nullptr),
                       "an exchange on channel -1; expected 0 to 32000", Error);
}

TEST_CASE("world: a rank that throws ends the others, and its exception is what is seen") {
  CHECK_THROWS_WITH_AS(run_ranks(3,
                                 [](World& world) {
                                   if (world.rank() == 1) throw InputError("no such file");
                                   world.barrier();
                                 }),
                       "no such file", InputError);
  CHECK_THROWS_WITH_AS(run_ranks(2,
                                 [](World& world) {
                                   if (world.rank() == 1) world.barrier();
                                 }),
                       "another rank has ended", Error);
  CHECK_THROWS_WITH_AS(run_ranks(2,
                                 [](World& world) {
                                   Bytes mine(3);
                                   World::Outgoing to(2, mine);
                                   World::Incoming from(2, mine);
                                   if (world.rank() == 1) to[0] = to[0].first(2);
                                   world.exchange(to, from);
                                 }),
                       "rank 1 sends 2 bytes to rank 0, which expects 3", Error);
}

TEST_CASE("world: packed values are read in the same order, and not past their end") {
  Packer packer;
  packer.value(3.5);
  packer.list(std::string("four"));
  packer.list(std::vector<int>{});
  packer.list(std::vector<int>{5, 6});
  Unpacker unpacker(packer.bytes());
  CHECK(unpacker.value<double>() == 3.5);
  CHECK(unpacker.list<std::string>() == "four");
  CHECK(unpacker.list<std::vector<int>>().empty());
  CHECK(unpacker.list<std::vector<int>>() == std::vector<int>{5, 6});
  CHECK(unpacker.is_empty());
  CHECK_THROWS_AS(unpacker.value<char>(), Error);
}
