// The simulation is correct: threads, warps, shared memory and atomic operations do what CUDA specifies.
#include <cmath>
#include <cstring>
#include <numeric>

#include "tests/core/cuda/simulated_device.h"

namespace rcnn {
namespace {

// ---- threads and blocks -------------------------------------------------------------------------

__global__ void indices_kernel(unsigned* out) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  const unsigned threads = blockDim.x * blockDim.y * blockDim.z;
  out[block * threads + thread] = block * 1000 + thread;
}

TEST_CASE("every thread of every block runs once") {
  in_every_order([](SimulatedDevice& device) {
    auto* out = device.allocate<unsigned>(24 * 30);
    launch<indices_kernel>(device.stream, dim3(2, 3, 4), dim3(5, 3, 2), 0, out);
    const std::vector<unsigned> values = device.download(out, 24 * 30);
    for (unsigned i = 0; i < values.size(); ++i) CHECK(values[i] == i / 30 * 1000 + i % 30);
  });
}

/// With padding behind `levels`, and arrays of structs behind that: as the arguments of ops over a pyramid.
struct Pyramid {
  struct Level {
    int64_t data, rows;
  };
  int64_t images;
  int levels;
  Level scores[6], deltas[6];
  float weights[3];
};
constexpr int kWords = 26;

__global__ void pyramid_kernel(Pyramid pyramid, int64_t* out) {
  *out++ = pyramid.images;
  *out++ = pyramid.levels;
  for (const auto& levels : {pyramid.scores, pyramid.deltas})
    for (int i = 0; i < 6; ++i) {
      *out++ = levels[i].data;
      *out++ = levels[i].rows;
    }
}

TEST_CASE("a kernel gets its arguments whole") {
  in_every_order([](SimulatedDevice& device) {
    int64_t sent[kWords];
    for (int i = 0; i < kWords; ++i) sent[i] = ~(int64_t{i} << 40);
    sent[1] = -2;
    Pyramid pyramid{.images = sent[0], .levels = -2, .scores = {}, .deltas = {}, .weights = {}};
    std::memcpy(pyramid.scores, sent + 2, sizeof pyramid.scores);
    std::memcpy(pyramid.deltas, sent + 14, sizeof pyramid.deltas);
    auto* out = device.allocate<int64_t>(kWords);
    launch<pyramid_kernel>(device.stream, 1, 1, 0, pyramid, out);
    const std::vector<int64_t> values = device.download(out, kWords);
    for (size_t i = 0; i < kWords; ++i) CHECK(values[i] == sent[i]);
  });
}

// ---- shuffles -----------------------------------------------------------------------------------

constexpr int kShuffles = 4;

__device__ int shuffle(int kind, unsigned mask, int value, int by, int width) {
  switch (kind) {
    case 0:
      return __shfl_sync(mask, value, by, width);
    case 1:
      return __shfl_up_sync(mask, value, static_cast<unsigned>(by), width);
    case 2:
      return __shfl_down_sync(mask, value, static_cast<unsigned>(by), width);
    default:
      return __shfl_xor_sync(mask, value, by, width);
  }
}

/// The lane that a lane reads from, according to the programming guide.
int shuffled(int kind, int lane, int by, int width) {
  const int first = lane / width * width, end = first + width;
  const int from[kShuffles] = {first + by % width, lane - by >= first ? lane - by : lane,
                               lane + by < end ? lane + by : lane, (lane ^ by) < end ? lane ^ by : lane};
  return from[kind];
}

__global__ void shuffle_kernel(int* out, int kind, unsigned mask, int by, int width) {
  if ((mask >> (threadIdx.x % 32) & 1u) == 0) return;
  out[threadIdx.x] = shuffle(kind, mask, 100 + static_cast<int>(threadIdx.x), by, width);
}

TEST_CASE("shuffles of all widths, in full, masked and partial warps") {
  in_every_order([](SimulatedDevice& device) {
    auto* out = device.allocate<int>(48);
    for (int kind = 0; kind < kShuffles; ++kind)
      for (const int width : {32, 16, 4, 1})
        for (const int by : {0, 1, 3, 16, 21})
          for (const unsigned mask : {0xFFFFFFFFu, 0x0000FFFFu}) {
            cuda_check(cudaMemsetAsync(out, 0, 48 * sizeof(int), device.stream.handle), "a fill");
            launch<shuffle_kernel>(device.stream, 1, 48, 0, out, kind, mask, by, width);  // a warp and a half
            const std::vector<int> values = device.download(out, 48);
            for (int thread = 0; thread < 48; ++thread) {
              const int lane = thread % 32, lanes = thread >= 32 || mask != 0xFFFFFFFFu ? 16 : 32;
              const int from = shuffled(kind, lane, by, width);
              if (from >= lanes) continue;  // the value of a lane that takes no part is undefined
              CHECK(values[static_cast<size_t>(thread)] == (lane < lanes ? 100 + thread - lane + from : 0));
            }
          }
  });
}

__global__ void shuffle_types_kernel(double* doubles, int64_t* longs, unsigned char* bytes) {
  const unsigned t = threadIdx.x;
  doubles[t] = __shfl_xor_sync(0xFFFFFFFFu, 0.5 + t, 1);
  longs[t] = __shfl_down_sync(0xFFFFFFFFu, (int64_t{1} << 40) + t, 4);
  bytes[t] = __shfl_sync(0xFFFFFFFFu, static_cast<unsigned char>(t * 3), 7);
}

TEST_CASE("shuffles of one to eight bytes") {
  in_every_order([](SimulatedDevice& device) {
    auto* doubles = device.allocate<double>(32);
    auto* longs = device.allocate<int64_t>(32);
    auto* bytes = device.allocate<unsigned char>(32);
    launch<shuffle_types_kernel>(device.stream, 1, 32, 0, doubles, longs, bytes);
    const auto d = device.download(doubles, 32);
    const auto l = device.download(longs, 32);
    const auto b = device.download(bytes, 32);
    for (size_t i = 0; i < 32; ++i) {
      CHECK(d[i] == 0.5 + static_cast<double>(i ^ 1));
      CHECK(l[i] == (int64_t{1} << 40) + static_cast<int64_t>(i + 4 < 32 ? i + 4 : i));
      CHECK(b[i] == 21);
    }
  });
}

// ---- votes --------------------------------------------------------------------------------------

/// Lanes below `below` vote yes; the lanes in `set` and the others are two groups.
__global__ void vote_kernel(unsigned* ballots, int* any, int* all, unsigned set, unsigned below) {
  const unsigned t = threadIdx.x, lane = t % 32, mask = (set >> lane & 1u) != 0 ? set : ~set;
  ballots[t] = __ballot_sync(mask, lane < below);
  any[t] = __any_sync(mask, lane < below);
  all[t] = __all_sync(mask, lane < below);
}

TEST_CASE("votes of two groups in a warp, and of a partial warp") {
  in_every_order([](SimulatedDevice& device) {
    auto* ballots = device.allocate<unsigned>(40);
    auto* any = device.allocate<int>(40);
    auto* all = device.allocate<int>(40);
    for (const unsigned set : {0xFFFFFFFFu, 0x0F0F00FFu})
      for (const unsigned below : {0u, 3u, 8u, 9u, 32u}) {
        launch<vote_kernel>(device.stream, 1, 40, 0, ballots, any, all, set, below);
        const auto b = device.download(ballots, 40);
        const auto one = device.download(any, 40);
        const auto every = device.download(all, 40);
        const unsigned yes = below == 32 ? 0xFFFFFFFFu : (1u << below) - 1;
        for (unsigned t = 0; t < 40; ++t) {
          const unsigned present = t < 32 ? 0xFFFFFFFFu : 0xFFu;
          const unsigned group = ((set >> t % 32 & 1u) != 0 ? set : ~set) & present;
          CHECK(b[t] == (group & yes));
          CHECK(one[t] == ((group & yes) != 0 ? 1 : 0));
          CHECK(every[t] == ((group & ~yes) == 0 ? 1 : 0));
        }
      }
  });
}

__global__ void barrier_vote_kernel(int* out, unsigned below) {
  const int any = __syncthreads_or(threadIdx.x < below);
  const int all = __syncthreads_and(threadIdx.x < below);
  const int count = __syncthreads_count(threadIdx.x < below);
  out[threadIdx.x] = count * 4 + (all != 0 ? 2 : 0) + (any != 0 ? 1 : 0);
}

TEST_CASE("votes at a block's barrier") {
  in_every_order([](SimulatedDevice& device) {
    auto* out = device.allocate<int>(70);
    for (const int below : {0, 1, 33, 69, 70}) {
      launch<barrier_vote_kernel>(device.stream, 1, 70, 0, out, static_cast<unsigned>(below));
      for (const int value : device.download(out, 70))
        CHECK(value == below * 4 + (below == 70 ? 2 : 0) + (below > 0 ? 1 : 0));
    }
  });
}

// ---- shared memory ------------------------------------------------------------------------------

__global__ void reverse_kernel(const int* in, int* out) {
  RCNN_SHARED(int, tile, [33]);
  RCNN_SHARED(short, owner, [1]);
  auto* dynamic = dynamic_shared<int>();
  const unsigned t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
  tile[t] = in[i];
  if (t == 0) *owner = static_cast<short>(blockIdx.x);
  __syncthreads();
  dynamic[t] = tile[blockDim.x - 1 - t] + *owner * 1000;
  __syncthreads();
  out[i] = dynamic[t] + (reinterpret_cast<uintptr_t>(dynamic) % 128 == 0 ? 0 : 1);
}

TEST_CASE("every block has its own static and dynamic shared memory") {
  in_every_order([](SimulatedDevice& device) {
    std::vector<int> in(5 * 33);
    std::iota(in.begin(), in.end(), 0);
    const int* x = device.upload(in);
    auto* y = device.allocate<int>(in.size());
    launch<reverse_kernel>(device.stream, 5, 33, 33 * sizeof(int), x, y);
    const std::vector<int> out = device.download(y, in.size());
    for (int i = 0; i < 5 * 33; ++i)
      CHECK(out[static_cast<size_t>(i)] == i / 33 * 33 + 32 - i % 33 + i / 33 * 1000);
  });
}

__global__ void shared_use_kernel(unsigned char* out) {
  auto* dynamic = dynamic_shared<unsigned char>();
  for (unsigned i = threadIdx.x; i < 200 * 1024; i += blockDim.x)
    dynamic[i] = static_cast<unsigned char>(i % 251);
  __syncthreads();
  if (threadIdx.x == 0) *out = dynamic[200 * 1024 - 1];
}

TEST_CASE("a block may have 227 KiB of shared memory and no more") {
  SimulatedDevice device;
  auto* out = device.allocate<unsigned char>(1);
  launch<shared_use_kernel>(device.stream, 1, 64, 200 * 1024, out);
  CHECK(device.download(out, 1)[0] == (200 * 1024 - 1) % 251);
  CHECK_THROWS_WITH_AS(launch<shared_use_kernel>(device.stream, 1, 64, 227 * 1024 + 1, out),
                       doctest::Contains("232449 bytes of shared memory; at most 232448"), Error);
  CHECK_THROWS_WITH_AS(launch<shared_use_kernel>(device.stream, 1, 1025, 0, out),
                       doctest::Contains("at most 1024"), Error);
}

// ---- atomic operations --------------------------------------------------------------------------

struct Totals {
  int sum, difference, min, max, either, both, odd;
  unsigned long long wide;
  float real;
  int exchanged, largest_by_cas;
};

__global__ void atomic_kernel(Totals* totals, int* places) {
  RCNN_SHARED(int, block_sum, [1]);
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (threadIdx.x == 0) *block_sum = 0;
  __syncthreads();
  atomicAdd(block_sum, i);
  places[i] = atomicSub(&totals->difference, 1);
  atomicMin(&totals->min, i - 50);
  atomicMax(&totals->max, i);
  atomicOr(&totals->either, 1 << i % 7);
  atomicAnd(&totals->both, ~(1 << i % 7));
  atomicXor(&totals->odd, i);
  atomicAdd(&totals->wide, 1ull << 33);
  atomicAdd(&totals->real, 0.5f);
  atomicExch(&totals->exchanged, 7);
  for (int seen = atomicAdd(&totals->largest_by_cas, 0); seen < i;) {
    const int before = atomicCAS(&totals->largest_by_cas, seen, i);
    if (before == seen) break;
    seen = before;
  }
  __syncthreads();
  if (threadIdx.x == 0) atomicAdd(&totals->sum, *block_sum);
}

TEST_CASE("atomic operations on device and shared memory") {
  in_every_order([](SimulatedDevice& device) {
    constexpr int kCount = 3 * 40;
    Totals* totals = device.upload(std::vector<Totals>{{0, kCount, 1000, 0, 0, 0xFFF, 0, 0, 0, 0, -1}});
    int* places = device.allocate<int>(kCount);
    launch<atomic_kernel>(device.stream, 3, 40, 0, totals, places);
    const Totals t = device.download(totals, 1)[0];
    int odd = 0;
    for (int i = 0; i < kCount; ++i) odd ^= i;
    CHECK(t.sum == kCount * (kCount - 1) / 2);
    CHECK(t.difference == 0);
    CHECK(t.min == -50);
    CHECK(t.max == kCount - 1);
    CHECK(t.either == 0x7F);
    CHECK(t.both == 0xF80);
    CHECK(t.odd == odd);
    CHECK(t.wide == static_cast<unsigned long long>(kCount) << 33);
    CHECK(t.real == 0.5f * kCount);
    CHECK(t.exchanged == 7);
    CHECK(t.largest_by_cas == kCount - 1);
    std::vector<int> seen = device.download(places, kCount);  // every thread saw another value
    std::sort(seen.begin(), seen.end());
    for (int i = 0; i < kCount; ++i) CHECK(seen[static_cast<size_t>(i)] == i + 1);
  });
}

// ---- orders -------------------------------------------------------------------------------------

/// Records the order in which its threads run, which a real kernel must not depend on.
__global__ void arrival_kernel(int* next, int* place) { place[threadIdx.x] = atomicAdd(next, 1); }

TEST_CASE("threads run in the order that was set") {
  const auto arrival = [](cuda_sim::Order order, uint64_t seed) {
    SimulatedDevice device;
    device.set_order(order, seed);
    int* next = device.upload(std::vector<int>{0});
    int* place = device.allocate<int>(64);
    launch<arrival_kernel>(device.stream, 1, 64, 0, next, place);
    return device.download(place, 64);
  };
  using cuda_sim::Order;
  const std::vector<int> ascending = arrival(Order::ascending, 1), descending = arrival(Order::descending, 1);
  for (int i = 0; i < 64; ++i) {
    CHECK(ascending[static_cast<size_t>(i)] == i);
    CHECK(descending[static_cast<size_t>(i)] == 63 - i);
  }
  CHECK(arrival(Order::shuffled, 1) != ascending);
  CHECK(arrival(Order::shuffled, 1) != arrival(Order::shuffled, 2));
}

}  // namespace
}  // namespace rcnn
