// What the memory accesses of kernels cost (CONFIG=races), compared with counts by hand.
#include "core/bf16.h"
#include "core/cuda/mma.h"
#include "core/cuda/sim/access_count.h"
#include "tests/core/cuda/simulated_device.h"

#if defined(RCNN_RACE_CHECK)

namespace rcnn {
namespace {

using cuda_sim::AccessCount;
using cuda_sim::AccessCounter;
using cuda_sim::AccessKind;
using cuda_sim::LaunchCount;

/// What the launch that `start` makes is counted as.
template <class Start>
LaunchCount counted(SimulatedDevice& device, uint64_t blocks, Start start) {
  device.wait();
  const AccessCounter counter(blocks);
  start();
  REQUIRE(device.wait() == "");
  REQUIRE(counter.launches().size() == 1);
  return counter.launches().front();
}

/// The only line of a launch with accesses of this kind.
AccessCount only(const LaunchCount& found, AccessKind kind, bool shared) {
  AccessCount sum;
  int lines = 0;
  for (const AccessCount& access : found.accesses)
    if (access.kind == kind && access.shared == shared) sum = access, ++lines;
  CHECK(lines == 1);
  return sum;
}

// ---- global memory ------------------------------------------------------------------------------

__global__ void neighbours_kernel(const float* in, float* out) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = in[i];
}
__global__ void strided_kernel(const float* in, float* out) { out[threadIdx.x] = in[threadIdx.x * 32]; }
__global__ void vectors_kernel(const float4* in, float* out) {
  const float4 v = in[threadIdx.x];
  out[threadIdx.x] = v.x + v.y + v.z + v.w;
}

TEST_CASE("counts: neighbours, strides and vectors of global memory") {
  SimulatedDevice device;
  float* in = device.upload(std::vector<float>(2048, 1.0f));
  float* out = device.allocate<float>(128);

  // 4 warps read 32 x 4 bytes = 4 sectors each, and write as many.
  LaunchCount found =
      counted(device, 0, [&] { launch<neighbours_kernel>(device.stream, 2, 64, 0, in, out); });
  CHECK(found.kernel == "neighbours_kernel");
  CHECK(found.blocks() == 2);
  CHECK(found.counted == 2);
  CHECK(found.accesses.size() == 2);
  for (const AccessKind kind : {AccessKind::read, AccessKind::write}) {
    const AccessCount a = only(found, kind, false);
    CHECK(a.requests == 4);
    CHECK(a.lanes == 128);
    CHECK(a.places == 128);
    CHECK(a.bytes == 4);
    CHECK(a.stride == 4);
    CHECK(a.sectors == 16);
    CHECK(a.min_sectors == 16);
    CHECK(a.moved == 512);
    CHECK(a.place.find("test_counts.cu:") != std::string::npos);
  }
  CHECK(found.read == 512);
  CHECK(found.read_block == 512);
  CHECK(found.read_all == 512);

  // Each of 32 lanes reads a sector of its own.
  found = counted(device, 0, [&] { launch<strided_kernel>(device.stream, 1, 32, 0, in, out); });
  const AccessCount strided = only(found, AccessKind::read, false);
  CHECK(strided.requests == 1);
  CHECK(strided.sectors == 32);
  CHECK(strided.min_sectors == 4);
  CHECK(strided.stride == 128);

  // A float4 is one request: 32 x 16 bytes = 16 sectors.
  found = counted(device, 0, [&] {
    launch<vectors_kernel>(device.stream, 1, 32, 0, reinterpret_cast<const float4*>(in), out);
  });
  const AccessCount vectors = only(found, AccessKind::read, false);
  CHECK(vectors.bytes == 16);
  CHECK(vectors.requests == 1);
  CHECK(vectors.sectors == 16);
  CHECK(vectors.min_sectors == 16);

  // One float further, 4 sectors become 5.
  found = counted(device, 0, [&] {
    launch<neighbours_kernel>(device.stream, 1, 32, 0, static_cast<const float*>(in + 1), out);
  });
  CHECK(only(found, AccessKind::read, false).sectors == 5);
  CHECK(only(found, AccessKind::read, false).min_sectors == 4);
}

struct Five {
  float v[5];
};
__global__ void structs_kernel(const Five* in, Five* out) { out[threadIdx.x] = in[threadIdx.x]; }

TEST_CASE("counts: a struct of 20 bytes is five accesses of every lane") {
  SimulatedDevice device;
  const auto* in = reinterpret_cast<const Five*>(device.upload(std::vector<float>(160, 1.0f)));
  auto* out = reinterpret_cast<Five*>(device.allocate<float>(160));
  const LaunchCount found =
      counted(device, 0, [&] { launch<structs_kernel>(device.stream, 1, 32, 0, in, out); });
  const AccessCount read = only(found, AccessKind::read, false);
  CHECK(read.bytes == 4);
  CHECK(read.requests == 5);
  CHECK(read.lanes == 160);
  CHECK(read.stride == 20);
  CHECK(read.sectors == 5 * 20);  // every time some of each of the 20 sectors
  CHECK(read.min_sectors == 5 * 4);
}

/// Every thread reads the same 8 values.
__global__ void again_kernel(const float* in, float* out) {
  float sum = 0;
  for (int i = 0; i < 8; ++i) sum += in[i];
  out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

TEST_CASE("counts: bytes that a block, or several blocks, read again") {
  SimulatedDevice device;
  float* in = device.upload(std::vector<float>(8, 1.0f));
  float* out = device.allocate<float>(2 * 64);
  // 4 warps, 8 requests each for one float: 32 x 4 bytes. A block needs 32 bytes of them, and all need the
  // same 32.
  const LaunchCount found =
      counted(device, 0, [&] { launch<again_kernel>(device.stream, 2, 64, 0, in, out); });
  const AccessCount read = only(found, AccessKind::read, false);
  CHECK(read.requests == 32);
  CHECK(read.sectors == 32);
  CHECK(read.min_sectors == 32);
  CHECK(found.read == 128);
  CHECK(found.read_block == 64);
  CHECK(found.read_all == 32);
  CHECK(read.again == 64);
}

// ---- banks of shared memory ---------------------------------------------------------------------

/// Writes a tile of 32 rows by rows, and reads it by columns. kWidth 33 pads the rows; with kSwizzled the
/// column of a value depends on its row.
template <int kWidth, bool kSwizzled>
__global__ void transpose_kernel(float* out) {
  RCNN_SHARED(float, tile, [32][kWidth]);
  const unsigned t = threadIdx.x;
  for (unsigned row = 0; row < 32; ++row) tile[row][kSwizzled ? t ^ row : t] = 1;
  __syncthreads();
  float sum = 0;
  for (unsigned column = 0; column < 32; ++column) sum += tile[t][kSwizzled ? column ^ t : column];
  out[t] = sum;
}

TEST_CASE("counts: bank conflicts that were planted are found; padded and swizzled rows have none") {
  SimulatedDevice device;
  float* out = device.allocate<float>(32);
  LaunchCount found =
      counted(device, 0, [&] { launch<transpose_kernel<32, false>>(device.stream, 1, 32, 0, out); });
  CHECK(found.barriers == 1);
  CHECK(found.shared == 32 * 32 * 4);
  AccessCount read = only(found, AccessKind::read, true);
  CHECK(read.requests == 32);
  CHECK(read.min_turns == 32);
  CHECK(read.turns == 32 * 32);  // all lanes ask one bank
  CHECK(read.stride == 128);
  CHECK(only(found, AccessKind::write, true).turns == 32);

  found = counted(device, 0, [&] { launch<transpose_kernel<33, false>>(device.stream, 1, 32, 0, out); });
  CHECK(only(found, AccessKind::read, true).turns == 32);
  CHECK(only(found, AccessKind::write, true).turns == 32);

  found = counted(device, 0, [&] { launch<transpose_kernel<32, true>>(device.stream, 1, 32, 0, out); });
  read = only(found, AccessKind::read, true);
  CHECK(read.requests == 32);
  CHECK(read.turns == 32);
  CHECK(read.stride == 0);
  CHECK(only(found, AccessKind::write, true).turns == 32);
}

/// Lane t reads the 16 bytes at t * kStep, once as a float4 and once as a row of ldmatrix, after a cp.async.
template <int kStep>
__global__ void rows_kernel(const float4* in, float* out) {
  auto* rows = dynamic_shared<unsigned char>();
  const unsigned t = threadIdx.x;
  cuda::cp_async_16(rows + t * kStep, in + t, true);
  cuda::cp_async_commit();
  cuda::cp_async_wait<0>();
  __syncthreads();
  uint32_t r[4];
  cuda::ldmatrix_x4(r, rows + t * kStep);
  const float4 v = *reinterpret_cast<const float4*>(rows + t * kStep);
  out[t] = v.x + static_cast<float>(r[0] & 1u);
}

TEST_CASE("counts: vectors of shared memory, cp.async and ldmatrix") {
  SimulatedDevice device;
  auto* in = reinterpret_cast<float4*>(device.upload(std::vector<float>(128, 1.0f)));
  float* out = device.allocate<float>(32);
  // Rows that lie side by side: 4 turns of 8 lanes, each with 128 different bytes.
  LaunchCount found = counted(device, 0, [&] {
    launch<rows_kernel<16>>(device.stream, 1, 32, 32 * 16, static_cast<const float4*>(in), out);
  });
  CHECK(only(found, AccessKind::copy, false).sectors == 16);
  CHECK(only(found, AccessKind::copy, true).turns == 4);
  uint64_t requests = 0, turns = 0;
  for (const AccessCount& a : found.accesses)
    if (a.kind == AccessKind::read && a.shared) requests += a.requests, turns += a.turns;
  CHECK(requests == 2);
  CHECK(turns == 8);
  CHECK(found.read == 512);
  // Rows of 128 bytes: the 8 lanes of a quarter ask the same 4 banks, so each quarter takes 8 turns.
  found = counted(device, 0, [&] {
    launch<rows_kernel<128>>(device.stream, 1, 32, 32 * 128, static_cast<const float4*>(in), out);
  });
  CHECK(only(found, AccessKind::copy, true).turns == 32);
  CHECK(only(found, AccessKind::copy, true).min_turns == 4);
  turns = 0;
  for (const AccessCount& a : found.accesses)
    if (a.kind == AccessKind::read && a.shared) turns += a.turns;
  CHECK(turns == 64);
}

// ---- lanes that take no part --------------------------------------------------------------------

__device__ __attribute__((noinline)) float value_of(const float* in, unsigned i) { return in[i] * 2; }

/// Lane t runs its loop t % 4 + 1 times; every second time it calls a function on even lanes alone.
__global__ void divergent_kernel(const float* in, float* out) {
  const unsigned t = threadIdx.x;
  float sum = 0;
  for (unsigned i = 0; i <= t % 4; ++i) {
    sum += in[32 * i + t];
    if (i % 2 == 1 && t % 2 == 0) sum += value_of(in, 128 + t);
  }
  out[t] = sum;
}

TEST_CASE("counts: lanes of a loop with different ends, and of a branch") {
  for (const cuda_sim::Order order : {cuda_sim::Order::ascending, cuda_sim::Order::descending}) {
    SimulatedDevice device;
    device.set_order(order);
    const float* in = device.upload(std::vector<float>(160, 1.0f));
    float* out = device.allocate<float>(32);
    const LaunchCount found =
        counted(device, 0, [&] { launch<divergent_kernel>(device.stream, 1, 32, 0, in, out); });
    AccessCount loop, branch;
    for (const AccessCount& a : found.accesses)
      if (a.kind == AccessKind::read) (a.requests == 4 ? loop : branch) = a;
    // 32 lanes, then 24, 16 and 8. Lanes 2, 6, ... 30 come to i = 1 as even ones, and no other.
    CHECK(loop.requests == 4);
    CHECK(loop.lanes == 32 + 24 + 16 + 8);
    CHECK(loop.places == 128);
    CHECK(branch.requests == 1);
    CHECK(branch.lanes == 8);
    const AccessCount write = only(found, AccessKind::write, false);
    CHECK(write.requests == 1);  // the lanes have come together again
    CHECK(write.lanes == 32);
  }
}

/// Even lanes read in the first round and odd ones in the second: on the same line, on both sides of a
/// meeting.
__global__ void rounds_kernel(const float* in, float* out) {
  float sum = 0;
  for (unsigned i = 0; i < 2; ++i) {
    if (threadIdx.x % 2 == i) sum += in[threadIdx.x];
    __syncwarp();
  }
  out[threadIdx.x] = sum;
}

__global__ void atomic_kernel(int* total) {
  RCNN_SHARED(int, sums, [32]);
  sums[threadIdx.x] = 0;
  __syncthreads();
  atomicAdd(&sums[threadIdx.x / 8], 1);
  atomicAdd(total, 1);
}

TEST_CASE("counts: warp operations and atomics") {
  SimulatedDevice device;
  int* total = device.upload(std::vector<int>{0});
  const float* in = device.upload(std::vector<float>(32, 1.0f));
  float* out = device.allocate<float>(32);
  LaunchCount found = counted(device, 0, [&] { launch<rounds_kernel>(device.stream, 1, 32, 0, in, out); });
  const AccessCount read = only(found, AccessKind::read, false);
  CHECK(read.requests == 2);
  CHECK(read.lanes == 32);
  CHECK(only(found, AccessKind::write, false).requests == 1);
  found = counted(device, 0, [&] { launch<atomic_kernel>(device.stream, 1, 32, 0, total); });
  CHECK(only(found, AccessKind::atomic, true).turns == 8);  // 8 lanes at each of four words
  const AccessCount global = only(found, AccessKind::atomic, false);
  CHECK(global.turns == 32);
  CHECK(global.min_turns == 1);
  CHECK(global.sectors == 1);
}

TEST_CASE("counts: some blocks of a launch, the first and the last among them") {
  SimulatedDevice device;
  const float* in = device.upload(std::vector<float>(320, 1.0f));
  float* out = device.upload(std::vector<float>(320, 0.0f));
  const LaunchCount found =
      counted(device, 4, [&] { launch<neighbours_kernel>(device.stream, 10, 32, 0, in, out); });
  CHECK(found.blocks() == 10);
  CHECK(found.counted == 4);
  CHECK(only(found, AccessKind::read, false).requests == 4);
  const std::vector<float> values = device.download(out, 320);
  for (size_t block = 0; block < 10; ++block)
    CHECK(values[block * 32] == (block % 3 == 0 ? 1.0f : 0.0f));  // 0, 3, 6, 9
}

}  // namespace
}  // namespace rcnn

#endif
