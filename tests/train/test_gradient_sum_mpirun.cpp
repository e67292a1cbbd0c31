// Exchanges that are open, between processes that mpirun starts: these tests run themselves under mpirun.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "tests/one_thread.h"
#include "tests/program.h"
#include "tests/train/gradient_graph.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

/// The time in which a test that ends at once has ended.
constexpr std::chrono::seconds kSoon{20};

/// Runs a test of this file in three processes; false if there is no MPI.
bool run_under_mpirun(const std::string& test, Finished& finished) {
  std::string mpirun;
  for (const char* place : {"/usr/bin/mpirun", "/usr/local/bin/mpirun"})
    if (mpirun.empty() && std::filesystem::exists(place)) mpirun = place;
  if (mpirun.empty() || mpi_description().find("Open MPI") == std::string::npos) {
    MESSAGE("skipped: this build has no MPI, or there is no mpirun");
    return false;
  }
  Environment environment;
  environment.set("OMP_NUM_THREADS", "1");
  environment.set("OMPI_MCA_btl_vader_single_copy_mechanism", "none");
  environment.set("OMPI_ALLOW_RUN_AS_ROOT", "1");
  environment.set("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
  finished = run_program(mpirun, {"--oversubscribe", "--bind-to", "none", "-n", "3",
                                  std::filesystem::read_symlink("/proc/self/exe").string(), "--no-skip",
                                  "--no-colors", "--test-case=" + test});
  return true;
}

/// What the program does with an error on one rank.
template <class Work>
void end_all_if_it_throws(const Work& work) {
  World& world = launched_world();
  try {
    work(world);
  } catch (const std::exception& error) {
    std::fputs(fmt::format("{}: {}\n", world.name_of(world.rank()), error.what()).c_str(), stderr);
    world.abort(dynamic_cast<const LostRank*>(&error) ? 3 : 4);
  }
  leave_launched_world();
}

}  // namespace

TEST_CASE("within mpirun: open exchanges" * doctest::skip()) {
  if (!is_launched()) return;
  end_all_if_it_throws([](World& world) {
    const auto all = static_cast<size_t>(world.size()), me = static_cast<size_t>(world.rank());
    RandomSequence random(1, Purpose::test, static_cast<uint32_t>(me));
    for (int round = 0; round < 5; ++round) {
      // Messages of all sizes, begun by each rank in another sequence, with other exchanges between them.
      constexpr size_t kOpen = 4;
      const auto bytes_of = [](size_t which, size_t rank) { return size_t{3 + rank} << (6 * which); };
      std::vector<std::vector<Bytes>> out(kOpen, std::vector<Bytes>(all)), in = out;
      std::vector<std::unique_ptr<World::OpenExchange>> open(kOpen);
      for (size_t k = 0; k < kOpen; ++k) {
        const size_t which = (k + me) % kOpen;
        World::Outgoing to;
        World::Incoming from;
        for (size_t i = 0; i < all; ++i) {
          out[which][i].assign(bytes_of(which, me), static_cast<std::byte>(100 * which + 10 * me + i));
          in[which][i].resize(bytes_of(which, i));
          to.emplace_back(out[which][i]);
          from.emplace_back(in[which][i]);
        }
        open[which] = world.begin_exchange(static_cast<int>(which), to, from, nullptr);
        std::this_thread::sleep_for(std::chrono::milliseconds(random.below(3)));
        CHECK(world.of_all(world.rank() + round).back() == world.size() - 1 + round);
      }
      for (size_t k = kOpen; k-- > 0;)
        open[(k + me) % kOpen]->finish([&] {
          if (k > 0) open[me % kOpen]->poll();
        });
      for (size_t which = 0; which < kOpen; ++which)
        for (size_t i = 0; i < all; ++i)
          CHECK(in[which][i] == Bytes(bytes_of(which, i), static_cast<std::byte>(100 * which + 10 * i + me)));
    }
  });
}

TEST_CASE("within mpirun: sum of gradients" * doctest::skip()) {
  if (!is_launched()) return;
  const OneThread ops;
  end_all_if_it_throws([](World& world) {
    for (const int64_t bucket_bytes : {int64_t{0}, int64_t{60}, kBucketBytes})
      for (int round = 0; round < 4; ++round) {
        GradientGraph graph;
        graph.before_first_layer = [&](int64_t micro_batch) {  // the ranks take turns to be late
          if (micro_batch % world.size() == round) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        };
        const int64_t before = world.bytes_sent();
        CHECK(graph.sum(world, 7, bucket_bytes) == GradientGraph().sum(alone(), 7, 0));
        CHECK(graph.bytes_sent == world.bytes_sent() - before);
        CHECK(graph.bytes_expected == graph.bytes_sent);
      }
  });
}

TEST_CASE("within mpirun: a rank that throws" * doctest::skip()) {
  if (!is_launched()) return;
  end_all_if_it_throws([](World& world) {
    world.watch.seconds = 0;  // for ever
    GradientGraph graph;
    graph.before_first_layer = [&](int64_t micro_batch) {
      if (micro_batch == 3) throw InputError("the disk is on fire");
    };
    graph.sum(world, 6, 0);
  });
}

TEST_CASE("within mpirun: a rank that hangs" * doctest::skip()) {
  if (!is_launched()) return;
  end_all_if_it_throws([](World& world) {
    world.watch = {.seconds = 1, .place = "step 7", .advice = "go on with --resume"};
    GradientGraph graph;
    graph.before_first_layer = [&](int64_t micro_batch) {
      if (micro_batch == 3) std::this_thread::sleep_for(std::chrono::minutes(5));
    };
    graph.sum(world, 6, 0);
  });
}

TEST_CASE("mpirun: exchanges that are open do not mix, and gradients have the bits of one process") {
  for (const char* test : {"within mpirun: open exchanges", "within mpirun: sum of gradients"}) {
    CAPTURE(test);
    Finished finished{};
    if (!run_under_mpirun(test, finished)) return;
    CHECK_MESSAGE(finished.status == 0, finished.out << finished.err);
    std::string text = finished.out;
    text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
    size_t passed = 0;
    for (size_t at = 0; (at = text.find("testcases:1|1passed", at)) != std::string::npos; ++at) ++passed;
    CHECK(passed == 3);
  }
}

TEST_CASE("mpirun: a process that throws while the others exchange gradients ends them with its status") {
  Finished finished{};
  const auto begin = std::chrono::steady_clock::now();
  if (!run_under_mpirun("within mpirun: a rank that throws", finished)) return;
  CHECK(finished.status == 4);
  CHECK(finished.err.find("rank 1 (") != std::string::npos);
  CHECK(finished.err.find("): the disk is on fire\n") != std::string::npos);
  CHECK(std::chrono::steady_clock::now() - begin < kSoon);
}

TEST_CASE("mpirun: a process that hangs while the others exchange gradients is named") {
  Finished finished{};
  const auto begin = std::chrono::steady_clock::now();
  if (!run_under_mpirun("within mpirun: a rank that hangs", finished)) return;
  CHECK(finished.status == 3);
  CHECK(finished.err.find(") has not reached step 7 for 1 s; go on with --resume\n") != std::string::npos);
  CHECK(finished.err.find(": rank 1 (") != std::string::npos);
  CHECK(std::chrono::steady_clock::now() - begin < kSoon);
}
