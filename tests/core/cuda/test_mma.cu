// The tensor-core pipeline, in the simulation and on a card: every fragment layout is compared with plain
// loops.
#include "core/cuda/mma.h"

#include <cmath>

#if defined(RCNN_CUDA_SIM)
#include "tests/core/cuda/simulated_device.h"
#else
#include "core/cuda/device.h"
#include "tests/core/cuda/device_stream.h"
#endif

namespace rcnn {
namespace {

#if !defined(RCNN_CUDA_SIM)
/// A card has an order of its own.
template <class Test>
void in_every_order(const Test& test) {
  if (cuda::device_count() == 0 || cuda::device_info(0).capability < 80) return;
  DeviceStream device;
  test(device);
}
#endif

/// Small integers, which bf16 and TF32 represent exactly; no two rows or columns are the same.
int element(int row, int column) { return (row * 7 + column * 13 + row * column) % 17 - 8; }

struct Fragments {
  uint32_t r[4];
};

// ---- ldmatrix -----------------------------------------------------------------------------------

/// Four 8x8 matrices in shared memory, one after another, with `stride` elements per row.
__global__ void ldmatrix_kernel(const uint16_t* in, Fragments* out, bool four, bool transposed, int stride) {
  RCNN_SHARED(uint16_t, tile, [32 * 24]);
  for (int i = static_cast<int>(threadIdx.x); i < 32 * 8; i += 32) tile[i / 8 * stride + i % 8] = in[i];
  __syncthreads();
  const int lane = static_cast<int>(threadIdx.x);
  uint32_t r4[4] = {0, 0, 0, 0}, r2[2] = {0, 0};
  const uint16_t* row = tile + (four ? lane : lane % 16) * stride;
  if (four && !transposed) cuda::ldmatrix_x4(r4, row);
  if (four && transposed) cuda::ldmatrix_x4_trans(r4, row);
  if (!four && !transposed) cuda::ldmatrix_x2(r2, row);
  if (!four && transposed) cuda::ldmatrix_x2_trans(r2, row);
  for (int i = 0; i < 4; ++i) out[lane].r[i] = four ? r4[i] : i < 2 ? r2[i] : 0;
}

TEST_CASE("ldmatrix gives every lane its elements") {
  in_every_order([](DeviceStream& device) {
    std::vector<uint16_t> in(32 * 8);
    for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<uint16_t>(i + 1);
    const uint16_t* x = device.upload(in);
    auto* y = device.allocate<Fragments>(32);
    for (const bool four : {false, true})
      for (const bool transposed : {false, true})
        for (const int stride : {8, 24}) {
          launch<ldmatrix_kernel>(device.stream, 1, 32, 0, x, y, four, transposed, stride);
          const std::vector<Fragments> out = device.download(y, 32);
          for (int lane = 0; lane < 32; ++lane)
            for (int matrix = 0; matrix < (four ? 4 : 2); ++matrix)
              for (int half = 0; half < 2; ++half) {
                const int a = lane / 4, b = lane % 4 * 2 + half;
                const int row = transposed ? b : a, column = transposed ? a : b;
                const uint32_t word = out[static_cast<size_t>(lane)].r[matrix];
                CHECK((word >> (16 * half) & 0xFFFFu) ==
                      static_cast<uint32_t>(matrix * 64 + row * 8 + column + 1));
              }
        }
  });
}

// ---- mma ----------------------------------------------------------------------------------------

__device__ uint32_t pack(bf16 low, bf16 high) { return static_cast<uint32_t>(high.bits) << 16 | low.bits; }

/// D (16 x 8) += A (16 x 8) B (8 x 8), from fragments loaded as the layout defines them.
__global__ void tf32_kernel(const float* a, const float* b, float* d) {
  const int group = static_cast<int>(threadIdx.x) / 4, t = static_cast<int>(threadIdx.x) % 4;
  const uint32_t fa[4] = {cuda::to_tf32(a[group * 8 + t]), cuda::to_tf32(a[(group + 8) * 8 + t]),
                          cuda::to_tf32(a[group * 8 + t + 4]), cuda::to_tf32(a[(group + 8) * 8 + t + 4])};
  const uint32_t fb[2] = {cuda::to_tf32(b[t * 8 + group]), cuda::to_tf32(b[(t + 4) * 8 + group])};
  float fd[4];
  for (int i = 0; i < 4; ++i) fd[i] = d[(group + i / 2 * 8) * 8 + 2 * t + i % 2];
  cuda::mma_m16n8k8_tf32(fd, fa, fb);
  for (int i = 0; i < 4; ++i) d[(group + i / 2 * 8) * 8 + 2 * t + i % 2] = fd[i];
}

/// D (16 x 8) += A (16 x 16) B (16 x 8), B given as (8 x 16).
__global__ void bf16_kernel(const bf16* a, const bf16* b, float* d) {
  const int group = static_cast<int>(threadIdx.x) / 4, t = static_cast<int>(threadIdx.x) % 4;
  uint32_t fa[4], fb[2];
  for (int i = 0; i < 4; ++i) {
    const bf16* at = a + (group + i % 2 * 8) * 16 + 2 * t + i / 2 * 8;
    fa[i] = pack(at[0], at[1]);
  }
  for (int i = 0; i < 2; ++i) fb[i] = pack(b[group * 16 + 2 * t + i * 8], b[group * 16 + 2 * t + i * 8 + 1]);
  float fd[4];
  for (int i = 0; i < 4; ++i) fd[i] = d[(group + i / 2 * 8) * 8 + 2 * t + i % 2];
  cuda::mma_m16n8k16_bf16(fd, fa, fb);
  for (int i = 0; i < 4; ++i) d[(group + i / 2 * 8) * 8 + 2 * t + i % 2] = fd[i];
}

/// The same with A (16 x 16) and B (16 x 8) copied to shared memory and loaded by ldmatrix.
__global__ void pipeline_kernel(const bf16* a, const bf16* b, float* d) {
  RCNN_SHARED(bf16, tile_a, [16][24]);  // rows of 48 bytes: no two of eight rows share a bank
  RCNN_SHARED(bf16, tile_b, [16][8]);
  const int lane = static_cast<int>(threadIdx.x);
  cuda::cp_async_16(&tile_a[lane / 2][lane % 2 * 8], a + lane * 8, true);
  cuda::cp_async_commit();
  cuda::cp_async_8(&tile_b[lane / 2][lane % 2 * 4], b + lane * 4, true);
  cuda::cp_async_commit();
  cuda::cp_async_wait<0>();
  __syncthreads();
  uint32_t fa[4], fb[2];
  cuda::ldmatrix_x4(fa, &tile_a[lane % 16][lane / 16 * 8]);
  cuda::ldmatrix_x2_trans(fb, &tile_b[lane % 16][0]);
  float fd[4] = {0, 0, 0, 0};
  cuda::mma_m16n8k16_bf16(fd, fa, fb);
  for (int i = 0; i < 4; ++i) d[(lane / 4 + i / 2 * 8) * 8 + 2 * (lane % 4) + i % 2] = fd[i];
}

/// D + A B in plain loops, for A (16 x k) and B (k x 8) made of `element`s and D of multiples of `start`.
std::vector<float> product(int k, int start) {
  std::vector<float> d;
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 8; ++column) {
      int sum = start * (row - column);
      for (int i = 0; i < k; ++i) sum += element(row, i) * element(i + 20, column);
      d.push_back(static_cast<float>(sum));
    }
  return d;
}

template <class T, class Convert>
std::vector<T> matrix(int rows, int columns, int first_row, const Convert& convert) {
  std::vector<T> m;
  for (int row = 0; row < rows; ++row)
    for (int column = 0; column < columns; ++column)
      m.push_back(convert(static_cast<float>(element(row + first_row, column))));
  return m;
}

TEST_CASE("mma in TF32 and bf16") {
  const auto same = [](float v) { return v; };
  in_every_order([&](DeviceStream& device) {
    float* d = device.upload(product(0, 3));
    launch<tf32_kernel>(device.stream, 1, 32, 0, device.upload(matrix<float>(16, 8, 0, same)),
                        device.upload(matrix<float>(8, 8, 20, same)), d);
    CHECK(device.download(d, 128) == product(8, 3));

    const std::vector<bf16> b = matrix<bf16>(16, 8, 20, to_bf16);
    std::vector<bf16> columns;  // of B, one after another
    for (size_t i = 0; i < 128; ++i) columns.push_back(b[i % 16 * 8 + i / 16]);
    const bf16* a = device.upload(matrix<bf16>(16, 16, 0, to_bf16));
    d = device.upload(product(0, 3));
    launch<bf16_kernel>(device.stream, 1, 32, 0, a, device.upload(columns), d);
    CHECK(device.download(d, 128) == product(16, 3));

    launch<pipeline_kernel>(device.stream, 1, 32, 0, a, device.upload(b), d);
    CHECK(device.download(d, 128) == product(16, 0));
  });
}

// ---- cp.async -----------------------------------------------------------------------------------

/// Sums of neighbouring columns, through two stages of shared memory; rows from `rows` on count as zeros.
__global__ void stages_kernel(const float* in, float* out, int rows, int total) {
  RCNN_SHARED(float, stage, [2][64]);
  const int t = static_cast<int>(threadIdx.x);
  const auto fetch = [&](int row) {
    cuda::cp_async_4(&stage[row % 2][t], row < rows ? in + row * 64 + t : nullptr, row < rows);
    cuda::cp_async_commit();
  };
  fetch(0);
  for (int row = 0; row < total; ++row) {
    if (row + 1 < total)
      fetch(row + 1);
    else
      cuda::cp_async_commit();
    cuda::cp_async_wait<1>();  // all but what was fetched just now
    __syncthreads();
    out[row * 64 + t] = stage[row % 2][t] + stage[row % 2][(t + 1) % 64];
    __syncthreads();
  }
}

TEST_CASE("cp.async copies values and zeros, group by group") {
  in_every_order([](DeviceStream& device) {
    std::vector<float> in(5 * 64);
    for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i);
    const float* x = device.upload(in);
    float* y = device.allocate<float>(7 * 64);
    launch<stages_kernel>(device.stream, 1, 64, 0, x, y, 5, 7);
    const std::vector<float> out = device.download(y, 7 * 64);
    for (size_t row = 0; row < 7; ++row)
      for (size_t t = 0; t < 64; ++t)
        CHECK(out[row * 64 + t] == (row < 5 ? in[row * 64 + t] + in[row * 64 + (t + 1) % 64] : 0.0f));
  });
}

// ---- roundings ----------------------------------------------------------------------------------

TEST_CASE("TF32 and bf16 round as the hardware does") {
  const auto tf32 = [](float v) { return std::bit_cast<float>(cuda::to_tf32(v)); };
  const float step = std::ldexp(1.0f, -10);
  CHECK(tf32(1 + step) == 1 + step);
  CHECK(tf32(1 + step * 0.49f) == 1);
  CHECK(tf32(1 + step * 0.5f) == 1 + step);  // halves away from zero
  CHECK(tf32(-1 - step * 0.5f) == -1 - step);
  CHECK(tf32(2 - step * 0.25f) == 2);
  CHECK(tf32(INFINITY) == INFINITY);
  CHECK(std::isnan(tf32(NAN)));
  CHECK(std::isnan(tf32(std::bit_cast<float>(0x7F800001u))));
  const auto through_bf16 = [](float v) { return to_float(to_bf16(v)); };
  const float coarse = std::ldexp(1.0f, -7);
  CHECK(through_bf16(1 + coarse * 0.5f) == 1);  // halves to even
  CHECK(through_bf16(1 + coarse * 1.5f) == 1 + 2 * coarse);
  CHECK(through_bf16(1 + coarse * 0.51f) == 1 + coarse);
  CHECK(through_bf16(-INFINITY) == -INFINITY);
  CHECK(through_bf16(3.4e38f) == INFINITY);
  CHECK(std::isnan(through_bf16(std::bit_cast<float>(0x7F800001u))));
}

}  // namespace
}  // namespace rcnn
