// What only the check of every access finds (CONFIG=races): it reports races exactly, and reports none if
// accesses are ordered.
#include <cstring>

#include "core/bf16.h"
#include "core/cuda/mma.h"
#include "tests/core/cuda/simulated_device.h"

#if defined(RCNN_RACE_CHECK)

namespace rcnn {
namespace {

// ---- accesses that are ordered, or touch different bytes ----------------------------------------

/// Threads write neighbouring bytes and halves of the same words.
__global__ void neighbours_kernel(unsigned char* bytes, bf16* halves, uint64_t* longs) {
  RCNN_SHARED(unsigned char, tile, [64]);
  const unsigned t = threadIdx.x;
  bytes[t] = static_cast<unsigned char>(t);
  halves[t] = to_bf16(static_cast<float>(t));
  tile[t] = bytes[t];
  __syncthreads();
  uint64_t eight = 0;  // all bytes of eight threads at once
  for (unsigned i = 0; i < 8; ++i) eight |= uint64_t{tile[t / 8 * 8 + i]} << 8 * i;
  longs[t] = eight + *reinterpret_cast<const uint64_t*>(tile + t / 8 * 8);
}

/// All threads of several warps read one value several times; then one thread writes it.
__global__ void broadcast_kernel(int* out) {
  RCNN_SHARED(int, value, [1]);
  if (threadIdx.x == 0) *value = 1;
  for (int round = 0; round < 3; ++round) {
    __syncthreads();
    const int seen = *value;
    out[threadIdx.x] = seen + *value;
    __syncthreads();
    if (threadIdx.x == static_cast<unsigned>(round) * 40) *value = seen + 1;
  }
}

/// The quarters of a warp meet separately; only their first lanes meet each other.
__global__ void chain_kernel(int* out, bool complete) {
  RCNN_SHARED(int, tile, [32]);
  const unsigned t = threadIdx.x, quarter = 0xFFu << t / 8 * 8;
  tile[t] = static_cast<int>(t);
  __syncwarp(quarter);
  if (t % 8 == 0) __syncwarp(0x01010101u);
  if (complete) __syncwarp(quarter);
  out[t] = tile[31 - t];
}

/// All lanes read a value in quarters that met at different times; then all lanes meet, and one writes.
__global__ void periods_kernel(int* out, bool complete) {
  RCNN_SHARED(int, value, [1]);
  const unsigned t = threadIdx.x, quarter = 0xFFu << t / 8 * 8;
  if (t == 0) *value = 5;
  __syncwarp();
  out[t] = *value;
  __syncwarp(quarter);
  out[t] += *value;
  __syncwarp(complete ? 0xFFFFFFFFu : quarter);
  if (t == 13) *value = 6;
}

/// Lanes 0 and 8 read a value in different periods; lane 13 meets the first alone, or both, and writes.
__global__ void one_lane_kernel(int* out, bool both) {
  RCNN_SHARED(int, value, [1]);
  const unsigned t = threadIdx.x, writer = 1u << 13;
  if (t == 0) *value = 5;
  __syncwarp();
  if (t < 16) __syncwarp(t < 8 ? 0xFFu : 0xFF00u);
  if (t % 8 == 0) out[t] = t < 16 ? *value : 0;
  if (t == 0 || t == 13) __syncwarp(1u | writer);
  if (both && (t == 8 || t == 13)) __syncwarp(1u << 8 | writer);
  if (t == 13) *value = 6;
}

/// Many threads count in one place with atomics; the sum is read after a barrier.
__global__ void counting_kernel(int* total, int* out, bool barrier) {
  RCNN_SHARED(int, count, [1]);
  if (threadIdx.x == 0) *count = 0;
  __syncthreads();
  atomicAdd(count, 1);
  atomicAdd(total, 1);
  if (barrier) __syncthreads();
  out[blockIdx.x * blockDim.x + threadIdx.x] = *count;
}

struct Wide {
  float v[9];
};
/// A struct that is copied as a whole, parameters by value, and arrays on the stack.
__global__ void copies_kernel(const Wide* in, Wide* out, Wide parameter) {
  Wide own[3] = {parameter, in[threadIdx.x], in[(threadIdx.x + 1) % 32]};
  own[threadIdx.x % 3].v[threadIdx.x % 9] += 1;
  out[threadIdx.x] = own[threadIdx.x * 2 % 3];
}

/// The compiler does not announce a memcpy of many bytes; the bytes it writes must not count as unwritten.
__global__ void memcpy_kernel(const int* in, int* out) {
  RCNN_SHARED(int, tile, [64]);
  if (threadIdx.x == 0) std::memcpy(tile, in, sizeof tile);
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x];
}

TEST_CASE("no race is reported if accesses are ordered or touch different bytes") {
  in_every_order([](SimulatedDevice& device) {
    auto* bytes = device.allocate<unsigned char>(64);
    auto* halves = device.allocate<bf16>(64);
    auto* longs = device.allocate<uint64_t>(64);
    int* out = device.allocate<int>(128);
    launch<neighbours_kernel>(device.stream, 1, 64, 0, bytes, halves, longs);
    CHECK(device.wait() == "");
    launch<broadcast_kernel>(device.stream, 1, 128, 0, out);
    CHECK(device.wait() == "");
    launch<chain_kernel>(device.stream, 2, 32, 0, out, true);
    check_parts(device.wait(), {"and blocks run in any order"});  // both write the same
    launch<chain_kernel>(device.stream, 1, 32, 0, out, true);
    CHECK(device.wait() == "");
    launch<periods_kernel>(device.stream, 1, 32, 0, out, true);
    CHECK(device.wait() == "");
    launch<one_lane_kernel>(device.stream, 1, 32, 0, out, true);
    CHECK(device.wait() == "");
    launch<counting_kernel>(device.stream, 4, 32, 0, device.upload(std::vector<int>{0}), out, true);
    CHECK(device.wait() == "");
    const Wide* wide = device.upload(std::vector<Wide>(32, Wide{}));
    launch<copies_kernel>(device.stream, 1, 32, 0, wide, device.allocate<Wide>(32), Wide{});
    CHECK(device.wait() == "");
    launch<memcpy_kernel>(device.stream, 1, 64, 0, device.upload(std::vector<int>(64, 3)), out);
    CHECK(device.wait() == "");
  });
}

// ---- races --------------------------------------------------------------------------------------

/// Two of the threads that write the bytes of a word write the same byte.
__global__ void byte_race_kernel(unsigned char* bytes) { bytes[threadIdx.x == 3 ? 1 : threadIdx.x] = 0; }
/// A word is written by one thread and one of its bytes by another.
__global__ void part_race_kernel(int* word) {
  if (threadIdx.x == 0) *word = 0x01010101;
  if (threadIdx.x == 1) reinterpret_cast<unsigned char*>(word)[2] = 1;
}
/// The same value written by two threads is a race as well.
__global__ void same_value_kernel(int* out) {
  if (threadIdx.x % 32 == 7) *out = 1;
}
/// All warps read, and one thread writes without a barrier.
__global__ void reader_kernel(int* value, int* out) {
  out[threadIdx.x] = *value;
  if (threadIdx.x == 40) *value = 1;
}
/// The first thread clears the counter, and also counts: others may have counted before.
__global__ void late_clear_kernel(int* count) {
  if (threadIdx.x == 0) *count = 0;
  atomicAdd(count, 1);
}
__global__ void odd_address_kernel(char* in, float* out) {
  *out = *reinterpret_cast<double*>(in + 4) > 0 ? 1 : 0;
}

TEST_CASE("a race is reported with its byte, its threads and the kinds of access") {
  in_every_order([](SimulatedDevice& device) {
    auto* bytes = device.allocate<unsigned char>(64);
    int* value = device.upload(std::vector<int>{0, 0});
    int* out = device.allocate<int>(64);
    launch<byte_race_kernel>(device.stream, 1, 8, 0, bytes);
    check_parts(device.wait(), {"race: byte 1 of an allocation of 64 bytes was written by thread (",
                                "thread (1, 0, 0)", "thread (3, 0, 0)", "tests/core/cuda/test_races.cu:"});
    launch<part_race_kernel>(device.stream, 1, 2, 0, value);
    check_parts(device.wait(), {"race: byte 2 of an allocation of 8 bytes was written by", "and written by"});
    launch<same_value_kernel>(device.stream, 1, 64, 0, value);
    check_parts(device.wait(), {"thread (7, 0, 0)", "thread (39, 0, 0)", "with no barrier between them"});
    launch<reader_kernel>(device.stream, 1, 64, 0, value, out);
    check_parts(device.wait(), {"race: byte 0", "read by", "written by thread (40, 0, 0)", "between them"});
    launch<late_clear_kernel>(device.stream, 1, 64, 0, value);
    check_parts(device.wait(),
                {"race: byte 0", "written by thread (0, 0, 0)", "changed atomically by thread ("});
    launch<counting_kernel>(device.stream, 1, 64, 0, value, out, false);
    check_parts(device.wait(),
                {"race: byte 0 of the 4 of the shared array `count`", "changed atomically by", "read by"});
    launch<chain_kernel>(device.stream, 1, 32, 0, out, false);
    check_parts(device.wait(), {"of the shared array `tile`"});
    launch<periods_kernel>(device.stream, 1, 32, 0, out, false);
    check_parts(device.wait(), {"race: byte 0 of the 4 of the shared array `value`", "read by",
                                "written by thread (13, 0, 0)"});
    launch<one_lane_kernel>(device.stream, 1, 32, 0, out, false);
    check_parts(device.wait(), {"race: byte 0 of the 4 of the shared array `value`",
                                "read by thread (8, 0, 0)", "written by thread (13, 0, 0)"});
    launch<odd_address_kernel>(device.stream, 1, 1, 0, device.upload(std::vector<char>(16)),
                               device.allocate<float>(1));
    check_parts(device.wait(), {"it read 8 bytes at ", "not a multiple of that"});
  });
}

__global__ void wide_read_kernel(const Wide* in, float* out) {
  const Wide own = in[1];
  *out = own.v[threadIdx.x];
}
__global__ void shared_read_kernel(int* out, int at) {
  RCNN_SHARED(int, tile, [5]);
  for (int i = 0; i < 5; ++i) tile[i] = i;
  const int* const begin = tile;
  *out = begin[at];
}
int variable = 3;
__global__ void variable_kernel() { variable = 4; }

TEST_CASE("reads outside of allocations, and writes to variables of the host") {
  in_every_order([](SimulatedDevice& device) {
    launch<wide_read_kernel>(device.stream, 1, 1, 0,
                             reinterpret_cast<const Wide*>(device.upload(std::vector<float>(17))),
                             device.allocate<float>(1));
    check_parts(device.wait(), {"it read ", "past an allocation of 68 bytes"});
    launch<shared_read_kernel>(device.stream, 1, 1, 0, device.allocate<int>(1), 5);
    check_parts(device.wait(), {"it read 1 bytes past the shared array `tile`, which has 20"});
    launch<variable_kernel>(device.stream, 1, 1, 0);
    check_parts(device.wait(), {"it wrote to a variable of the host's program"});
    CHECK(variable == 3);
  });
}

// ---- cp.async -----------------------------------------------------------------------------------

/// The copying thread waits, but no barrier follows before the others read; or the barrier comes first.
__global__ void misplaced_barrier_kernel(const float* in, float* out, bool before) {
  RCNN_SHARED(float, tile, [64]);
  const unsigned t = threadIdx.x;
  cuda::cp_async_4(tile + t, in + t, true);
  cuda::cp_async_commit();
  if (before) __syncthreads();
  cuda::cp_async_wait<0>();
  out[t] = tile[63 - t];
}
/// A stage is filled again while others may still read it.
__global__ void early_refill_kernel(const float* in, float* out) {
  RCNN_SHARED(float, tile, [64]);
  const unsigned t = threadIdx.x;
  for (unsigned round = 0; round < 2; ++round) {
    cuda::cp_async_4(tile + t, in + round * 64 + t, true);
    cuda::cp_async_commit();
    cuda::cp_async_wait<0>();
    __syncthreads();
    out[round * 64 + t] = tile[63 - t];
  }
}

TEST_CASE("cp.async is a write from its issue to its wait") {
  in_every_order([](SimulatedDevice& device) {
    const float* in = device.upload(std::vector<float>(128));
    float* out = device.allocate<float>(128);
    for (const bool before : {false, true}) {
      launch<misplaced_barrier_kernel>(device.stream, 1, 64, 0, in, out, before);
      check_parts(device.wait(), {"of the shared array `tile`", "tests/core/cuda/test_races.cu:"});
    }
    launch<early_refill_kernel>(device.stream, 1, 64, 0, in, out);
    check_parts(device.wait(), {"of the shared array `tile`"});
  });
}

}  // namespace
}  // namespace rcnn

#endif
