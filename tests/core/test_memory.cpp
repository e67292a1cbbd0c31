// The memory counters, and the memory that the CPU's tensors use.
#include "core/memory.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <vector>

#include "core/host_memory.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "core/tensor.h"

using namespace rcnn;

namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
/// What one byte beyond whole pages takes: a page, or 64 bytes under the sanitizers, which turn the pool off.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int64_t kRest = 64;
#else
constexpr int64_t kRest = 4096;
#endif

/// The resident memory of this process in bytes.
[[maybe_unused]] int64_t resident() {
  std::ifstream file("/proc/self/statm");
  int64_t all = 0, pages = -1;
  file >> all >> pages;
  return pages * ::sysconf(_SC_PAGESIZE);
}

Tensor bytes(int64_t count) { return Tensor::empty({count}, DType::u8); }

}  // namespace

TEST_CASE("memory: counts the bytes in use, and their peak since the reset") {
  const int64_t before = memory_in_use({});
  reset_peak_memory({});
  CHECK(peak_memory({}) == before);
  {
    const Tensor small = bytes(100), large = bytes(3 * kMiB + 1);
    CHECK(memory_in_use({}) == before + 128 + 3 * kMiB + kRest);  // multiples of 64 bytes, or whole pages
    const Tensor view = large.slice(5, 9);
    CHECK(memory_in_use({}) == before + 128 + 3 * kMiB + kRest);
  }
  CHECK(memory_in_use({}) == before);
  CHECK(peak_memory({}) == before + 128 + 3 * kMiB + kRest);
  const Tensor other = bytes(kMiB);
  CHECK(peak_memory({}) == before + 128 + 3 * kMiB + kRest);  // a lower value does not change the peak
  reset_peak_memory({});
  CHECK(peak_memory({}) == before + kMiB);
}

TEST_CASE("memory: blocks of many sizes do not overlap, in whatever order they are taken and returned") {
  RandomSequence random(5, Purpose::test);
  struct Block {
    Tensor tensor;
    uint8_t value;
  };
  std::vector<Block> blocks;
  const auto intact = [](const Block& block) {
    for (const uint8_t found : block.tensor.values<uint8_t>())
      if (found != block.value) return false;
    return true;
  };
  bool all = true;
  for (int i = 0; i < 2000; ++i) {
    if (blocks.size() > 20 || (!blocks.empty() && random.below(3) == 0)) {
      const size_t chosen = random.below(static_cast<uint32_t>(blocks.size()));
      all = all && intact(blocks[chosen]);
      blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(chosen));
      continue;
    }
    const int64_t size = random.below(2) ? 4096 * int64_t{random.below(40)} : random.below(300000);
    blocks.push_back({bytes(size), static_cast<uint8_t>(i)});
    blocks.back().tensor.fill(i % 256);
    CHECK(reinterpret_cast<uintptr_t>(blocks.back().tensor.raw()) % 64 == 0);
  }
  for (const Block& block : blocks) all = all && intact(block);
  CHECK(all);
}

TEST_CASE("memory: threads allocate at the same time") {
  const int64_t before = memory_in_use({});
  std::vector<int> good(200);
  parallel_chunks(200, [&](int64_t chunk) {
    const Tensor tensor = bytes(kMiB / 8 + 4096 * (chunk % 7));
    tensor.fill(static_cast<double>(chunk));
    bool same = true;
    for (const uint8_t found : tensor.values<uint8_t>()) same = same && found == chunk;
    good[static_cast<size_t>(chunk)] = same;
  });
  CHECK(good == std::vector<int>(200, 1));
  CHECK(memory_in_use({}) == before);
}

TEST_CASE("memory: the process is hardly larger than its tensors at their peak, whatever their sizes") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  MESSAGE("skipped: a sanitizer keeps freed memory");
#else
  const auto fill = [](const std::vector<int64_t>& sizes) {
    std::vector<Tensor> tensors;
    for (const int64_t size : sizes) {
      tensors.push_back(bytes(size));
      tensors.back().fill(1);
    }
  };
  constexpr int64_t kPeak = 96 * kMiB, kSpare = kPeak / 16;
  fill({kPeak});
  const int64_t before = resident();
  for (int64_t i = 1; i < 20; ++i) fill(std::vector<int64_t>(static_cast<size_t>(i), kPeak / i - 8192));
  CHECK(resident() <= before + kSpare + kMiB);
  // None of the three gaps between the blocks holds a block of their total size: their pages are returned.
  {
    std::vector<Tensor> tensors;
    for (int i = 0; i < 6; ++i) {
      tensors.push_back(bytes(kPeak / 6));
      tensors.back().fill(1);
    }
    for (const size_t i : {0, 2, 4}) tensors[i] = Tensor();
    const Tensor large = bytes(kPeak / 2);
    large.fill(1);
    CHECK(resident() <= before + kSpare + kMiB);
  }
  // Returned memory stays warm, so that taking it again needs no system call: the process must not shrink.
  CHECK(resident() >= before - kMiB);
#endif
}

TEST_CASE("memory: the pages of a step stay for the next one, although its blocks leave gaps") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  MESSAGE("skipped: a sanitizer keeps freed memory");
#else
  const auto faults = [] {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
  };
  // Two of 40 blocks are returned, and a larger one is taken that fits into neither gap: the gaps can wait
  // for the next step only if there are pages to spare.
  const auto step = [] {
    std::vector<Tensor> tensors;
    for (int i = 0; i < 40; ++i) {
      tensors.push_back(bytes(4 * kMiB));
      tensors.back().fill(1);
    }
    for (size_t i = 0; i < 8; i += 4) tensors[i] = Tensor();
    tensors.push_back(bytes(6 * kMiB));
    tensors.back().fill(1);
  };
  for (int i = 0; i < 3; ++i) step();
  const auto before = faults();
  for (int i = 0; i < 3; ++i) step();
  CHECK(faults() - before < 100);
  // The memory that is held is reported although all of it was returned.
  CHECK(held_host_memory() >= 162 * kMiB);
  CHECK(max_held_host_memory(160) == 170);
#endif
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which end the program instead
TEST_CASE("memory: a request beyond the machine's memory is refused and not counted") {
  const int64_t before = memory_in_use({});
  CHECK_THROWS_WITH_AS(allocate_host(size_t{1} << 60),
                       "out of memory: 1152921504606846976 bytes were requested on the cpu", Error);
  CHECK(memory_in_use({}) == before);
}
#endif
