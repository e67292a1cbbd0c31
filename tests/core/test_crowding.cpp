// Fewer threads while other programs want the same processors, and the same bits with them.
#include "core/crowding.h"

#include <doctest/doctest.h>

#include "core/files/sha256.h"
#include "core/parallel.h"
#include "kernels/gemm/conv2d_cases.h"
#include "kernels/gemm/matmul_cases.h"
#include "tests/kernels/verify.h"
#include "tests/train/tiny_run.h"

namespace rcnn {
namespace {

/// Regions of 1/64 s each: seven are a window, and a quarter of a second is 16.
struct Regions {
  Crowding crowding;
  Crowding::Clock::time_point now{};

  /// The numbers of threads of `count` regions in which the slowest thread waits for this share of the time.
  std::vector<int> run(int count, int wanted, double waiting) {
    std::vector<int> threads;
    for (int i = 0; i < count; ++i) {
      threads.push_back(crowding.threads(wanted));
      now += std::chrono::microseconds(15625);
      crowding.add_region(wanted, threads.back(), 1.0 / 64, threads.back() == 1 ? 0 : waiting / 64, now);
    }
    return threads;
  }
};

std::vector<int> repeated(std::initializer_list<std::pair<int, int>> runs) {
  std::vector<int> all;
  for (const auto& [count, value] : runs) all.insert(all.end(), static_cast<size_t>(count), value);
  return all;
}

}  // namespace

TEST_CASE("crowding: threads that wait for less than one of them is worth are all used") {
  CHECK(Regions().run(100, 2, 0.4) == repeated({{100, 2}}));
  CHECK(Regions().run(100, 4, 0.2) == repeated({{100, 4}}));
  CHECK(Regions().run(100, 1, 0.9) == repeated({{100, 1}}));
}

TEST_CASE(
    "crowding: a thread is given up after a tenth of a second, and all are tried again, ever more seldom") {
  Regions regions;
  CHECK(regions.run(70, 2, 0.6) == repeated({{7, 2}, {16, 1}, {7, 2}, {32, 1}, {7, 2}, {1, 1}}));
}

TEST_CASE("crowding: threads come back when the other program has gone") {
  Regions regions;
  CHECK(regions.run(13, 2, 0.6) == repeated({{7, 2}, {6, 1}}));
  CHECK(regions.run(38, 2, 0.1) == repeated({{10, 1}, {28, 2}}));
  CHECK(regions.run(25, 2, 0.6) == repeated({{7, 2}, {16, 1}, {2, 2}}));  // the pause is short again
}

TEST_CASE("crowding: several threads are given up one after the other, but never the last") {
  Regions regions;
  CHECK(regions.run(24, 4, 0.35) == repeated({{7, 4}, {7, 3}, {10, 2}}));  // .35 is more than 1/4 and 1/3
  CHECK(Regions().run(40, 3, 0.9).back() == 1);
}

TEST_CASE("crowding: waits as short as a thread's waking are not counted") {
  Crowding crowding;
  for (int i = 0; i < 10'000; ++i) crowding.add_region(2, 2, 2e-4, 1.9e-4, {});
  CHECK(crowding.threads(2) == 2);
  for (int i = 0; i < 200; ++i) crowding.add_region(2, 2, 6e-4, 4e-4, {});
  CHECK(crowding.threads(2) == 1);
}

#if !defined(RCNN_STD_THREADS)
TEST_CASE("fewer threads: while they last, and not more than there are") {
  const int before = thread_count();
  set_thread_count(2);
  const int granted = thread_count();
  {
    const FewerThreads fewer(1);
    CHECK(threads_at_work() == 1);
    CHECK(thread_count() == granted);
    with_threads(1, [] { CHECK(thread_count() == 1); });
    CHECK(thread_count() == granted);
  }
  {
    const FewerThreads more(100);
    CHECK(threads_at_work() == granted);
  }
  set_thread_count(before);
}

TEST_CASE("fewer threads: every variant on the CPU computes the same bits") {
  using namespace kernels;
  const int before = thread_count();
  set_thread_count(3);
  if (thread_count() == 1) {
    MESSAGE("skipped: one thread is granted");
    return;
  }
  const auto compare = [](const auto& op, const auto& prepare) {
    for (const auto& variant : op.variants) {
      if (variant.backend.device != DeviceType::cpu || !variant.run) continue;
      CAPTURE(op.name);
      CAPTURE(variant.name);
      Workspace workspace;  // one: what it keeps is made for all threads first
      const auto run = [&](int threads) {
        const FewerThreads fewer(threads);
        const Workspace::Scope scope(workspace);
        const auto prepared = prepare();
        if (variant.supports && !variant.supports(prepared.args)) return std::vector{prepared.outputs[0]};
        variant.run(Stream(), workspace, prepared.args);
        return std::vector{prepared.outputs[0]};
      };
      const auto all = run(3);
      for (const int threads : {1, 2, 3, 1, 1, 1, 1, 1, 1, 1}) CHECK(same_bits(run(threads)[0], all[0]));
    }
  };
  for (const Conv2dShape& shape :
       {Conv2dShape{1, 60, 80, 32, 32, 3, 3, 1, 1, 1}, Conv2dShape{2, 31, 33, 16, 48, 1, 1, 1, 0, 1},
        Conv2dShape{1, 65, 63, 3, 16, 3, 3, 2, 1, 1}}) {
    compare(kernels::conv2d, [&] {
      return prepare_conv2d<float>({shape, true, true, true, true}, Filler(5, Fill::normal));
    });
    compare(kernels::conv2d_dx,
            [&] { return prepare_conv2d_dx<float>({shape}, Filler(6, Fill::normal, Accumulate::yes)); });
    compare(kernels::conv2d_dw,
            [&] { return prepare_conv2d_dw<float>({shape}, Filler(7, Fill::normal, Accumulate::yes)); });
  }
  set_thread_count(before);
}

TEST_CASE("fewer threads: a training run has the same bits") {
  using namespace fixtures;
  const int before = thread_count();
  set_thread_count(2);
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 8);
  const auto train = [&](const std::filesystem::path& out) {
    RunOptions run = tiny_run(folder / "data", out);
    run.train.steps = 14;  // oneDNN's primitives for fewer threads are made after 8 uses
    train_quietly(run);
  };
  train(folder / "all");
  {
    const FewerThreads fewer(1);
    train(folder / "fewer");
  }
  for (const char* file : {"best.safetensors", "metrics.jsonl"}) {
    CAPTURE(file);
    CHECK(sha256_hex_of_file(folder / "all" / file) == sha256_hex_of_file(folder / "fewer" / file));
  }
  set_thread_count(before);
}
#endif

}  // namespace rcnn
