// The choice of a plan, and the passes that pack operands for the tensor cores.
#include "kernels/gemm/mma_plan.h"

#include <algorithm>
#include <limits>

#include "core/cuda/cuda.h"
#include "kernels/gemm/gemm_output.h"

namespace rcnn::kernels::mma {

Plan choose_plan(int64_t m, int64_t n, int64_t chunks, int64_t products) {
  struct Candidate {
    TileSize tile;
    int64_t m, n;
    double chunk;  // clocks that an SM spends on one chunk of one tile while other blocks fill the gaps
  };
  // Smaller tiles read more shared memory for each multiplication.
  constexpr Candidate candidates[] = {{TileSize::m128n128, 128, 128, 800},
                                      {TileSize::m128n64, 128, 64, 480},
                                      {TileSize::m64n64, 64, 64, 300}};
  constexpr int parts[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64};
  constexpr double processors = kWantedBlocks / 2;
  constexpr double around = 3;              // a block's start and end, in chunks
  constexpr double second_launch = 4000;    // clocks
  constexpr double bytes_per_clock = 1500;  // of device memory and second-level cache together

  Plan best;
  double best_clocks = std::numeric_limits<double>::infinity();
  for (const Candidate& candidate : candidates)
    for (const int count : parts) {
      if (count > 1 && count > chunks) break;
      const int64_t tiles = products * blocks_for(m, candidate.m) * blocks_for(n, candidate.n);
      const double blocks = std::ceil(static_cast<double>(tiles * count) / processors);  // on the busiest SM
      const double depth = std::ceil(static_cast<double>(chunks) / count) + around;
      double clocks = blocks * depth * candidate.chunk;
      if (count > 1)
        clocks +=
            second_launch + static_cast<double>(products * m * n) * 4 * (2 * count + 1) / bytes_per_clock;
      if (clocks < best_clocks) best = {candidate.tile, count}, best_clocks = clocks;
    }
  return best;
}

namespace {

constexpr int kThreads = 256;

__device__ inline void convert(float value, float& to) { to = value; }
__device__ inline void convert(float value, bf16& to) { to = to_bf16(value); }

template <class Stored>
struct alignas(16) Vector {
  Stored values[16 / sizeof(Stored)];
};

// One thread per vector of 16 bytes; no shared memory. `quads`: c % 4 == 0 and `values` is aligned to 16
// bytes, so four floats are read at once. Bottleneck: memory.
template <class Stored>
__global__ void __launch_bounds__(kThreads)
    pack_rows_kernel(const float* values, unsigned vectors, unsigned vectors_per_row, int c, bool quads,
                     Vector<Stored>* packed) {
  constexpr int kCount = 16 / sizeof(Stored);
  const unsigned index = blockIdx.x * kThreads + threadIdx.x;
  if (index >= vectors) return;
  const unsigned row = index / vectors_per_row;
  const int column = static_cast<int>(index - row * vectors_per_row) * kCount;
  const float* from = values + static_cast<int64_t>(row) * c + column;
  Vector<Stored> result;
  if (quads) {
    RCNN_UNROLL
    for (int i = 0; i < kCount; i += 4) {
      float four[4] = {};
      if (column + i < c) read_values<4>(from + i, four);
      RCNN_UNROLL
      for (int j = 0; j < 4; ++j) convert(four[j], result.values[i + j]);
    }
  } else {
    RCNN_UNROLL
    for (int i = 0; i < kCount; ++i) convert(column + i < c ? from[i] : 0.0f, result.values[i]);
  }
  packed[index] = result;
}

// One block of 256 threads per 32 x 32 square (k, c) of one tap (blockIdx.z); each warp takes every eighth
// row. It transposes the square through shared memory, in rows of 33 so that neither direction has bank
// conflicts. Bottleneck: memory.
template <class Stored>
__global__ void __launch_bounds__(kThreads)
    pack_transposed_kernel(const float* filters, int k, int taps, int c, int padded_k, Stored* packed) {
  RCNN_SHARED(float, square, [32][33]);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int k0 = static_cast<int>(blockIdx.x) * 32, c0 = static_cast<int>(blockIdx.y) * 32;
  const int tap = static_cast<int>(blockIdx.z);
  for (int row = warp; row < 32; row += kThreads / 32) {
    const bool inside = k0 + row < k && c0 + lane < c;
    square[row][lane] =
        inside ? filters[(static_cast<int64_t>(k0 + row) * taps + tap) * c + c0 + lane] : 0.0f;
  }
  __syncthreads();
  for (int row = warp; row < 32; row += kThreads / 32)
    if (c0 + row < c && k0 + lane < padded_k)
      convert(square[lane][row],
              packed[(static_cast<int64_t>(c0 + row) * taps + tap) * padded_k + k0 + lane]);
}

/// The kernels that read packed operands compute offsets in int.
void check_size(int64_t elements, int64_t rows, int64_t columns) {
  check(elements < int64_t{1} << 31,
        "an operand of {} x {} for tensor cores has {} elements with its padding, but must have fewer than "
        "2^31",
        rows, columns, elements);
}

}  // namespace

template <class Stored>
const Stored* packed_rows(const Stream& stream, Workspace& workspace, const float* values, int64_t rows,
                          int64_t c) {
  check_size(rows * padded<Stored>(c), rows, c);
  const bool quads = four_at_a_time(c, {values});
  if constexpr (std::is_same_v<Stored, float>)
    if (quads) return values;
  const int64_t width = padded<Stored>(c), vectors = rows * width * static_cast<int64_t>(sizeof(Stored)) / 16;
  Stored* packed = workspace.take<Stored>(rows * width);
  // Rows without padding are treated as one long row.
  const int64_t row_vectors =
      width == c ? std::max<int64_t>(vectors, 1) : vectors / std::max<int64_t>(rows, 1);
  launch<pack_rows_kernel<Stored>>(stream, blocks_for(vectors, kThreads), kThreads, 0, values,
                                   static_cast<unsigned>(vectors), static_cast<unsigned>(row_vectors),
                                   static_cast<int>(width == c ? rows * c : c), quads,
                                   reinterpret_cast<Vector<Stored>*>(packed));
  return packed;
}

template <class Stored>
const Stored* packed_transposed(const Stream& stream, Workspace& workspace, const float* filters, int64_t k,
                                int64_t taps, int64_t c) {
  const int64_t padded_k = padded<Stored>(k);
  check_size(c * taps * padded_k, c * taps, k);
  Stored* packed = workspace.take<Stored>(c * taps * padded_k);
  const dim3 grid(blocks_for(padded_k, 32), blocks_for(c, 32), static_cast<unsigned>(taps));
  launch<pack_transposed_kernel<Stored>>(stream, grid, kThreads, 0, filters, static_cast<int>(k),
                                         static_cast<int>(taps), static_cast<int>(c),
                                         static_cast<int>(padded_k), packed);
  return packed;
}

template const float* packed_rows(const Stream&, Workspace&, const float*, int64_t, int64_t);
template const bf16* packed_rows(const Stream&, Workspace&, const float*, int64_t, int64_t);
template const float* packed_transposed(const Stream&, Workspace&, const float*, int64_t, int64_t, int64_t);
template const bf16* packed_transposed(const Stream&, Workspace&, const float*, int64_t, int64_t, int64_t);

}  // namespace rcnn::kernels::mma
