// A block's tile of a matrix product on tensor cores: the part that convolution and matrix product share.
//
//     D (M x N) = sum over k of A(m, k) B(k, n)
//
// Elements are TF32 (floats in memory, rounded on their way into the registers) or bf16. The same code serves
// both, because the depth of an instruction is 32 bytes of either, 8 floats or 16 bf16, and ldmatrix delivers
// 32-bit words, one float or two bf16. So tiles, copies and addresses are the same in bytes.
//
// The reduction goes in chunks of 128 bytes: 32 floats or 64 bf16, four instructions deep. A chunk of A and
// one of B lie side by side in shared memory, in a ring of kStages such pairs: while the warps multiply one,
// the next ones arrive by cp.async. A block has 128 threads, four warps in a 2 x 2 arrangement; each warp
// owns a quarter of the tile and keeps its sums in registers.
//
// An operand lies in shared memory in the same order as in global memory, which is one of two (Order). Lines
// are cut into vectors of 16 bytes, and vector v of line l is stored at place v ^ swizzle(l): the eight lines
// that one ldmatrix reads at the same v then lie in eight different groups of banks, without padding.
//
// Bottleneck: the tensor cores, if the tile is 128 x 128; reads of shared memory, if it is smaller (each of
// the four warps reads half of A and half of B).
#pragma once

#include "core/cuda/mma.h"
#include "kernels/gemm/gemm_output.h"
#include "kernels/gemm/mma_plan.h"

namespace rcnn::kernels::mma {

inline constexpr int kThreads = 128;
inline constexpr int kStages = 3;
inline constexpr int kChunkBytes = 128;
inline constexpr int kVectorBytes = 16;
inline constexpr int kSteps = 4;  // instructions along k in a chunk

struct Tf32 {
  using Stored = float;
  static __device__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    cuda::mma_m16n8k8_tf32(d, a, b);
  }
};

struct Bf16 {
  using Stored = bf16;
  static __device__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    cuda::mma_m16n8k16_bf16(d, a, b);
  }
};

template <class Stored>
inline constexpr int kVector = kVectorBytes / static_cast<int>(sizeof(Stored));  // elements per vector
template <class Stored>
inline constexpr int kDepth = kChunkBytes / static_cast<int>(sizeof(Stored));  // elements of k per chunk

/// How an operand lies in memory. "Outer" is its other index: m or n.
enum class Order {
  along_k,      // a line is one outer index: a chunk is (outer, kDepth)
  along_outer,  // a line is one k: a chunk is (kDepth, outer)
};

/// The tile of a block; each warp owns M/2 x N/2 of it. `Blocks` is how many blocks fit on an SM at a time.
template <int M, int N, int Blocks>
struct Tile {
  static constexpr int kM = M, kN = N, kBlocks = Blocks;
  static constexpr int kWarpM = M / 2, kWarpN = N / 2;
  static constexpr int kMTiles = kWarpM / 16, kNTiles = kWarpN / 8;
  static constexpr size_t kSharedBytes = static_cast<size_t>(kStages) * (M + N) * kChunkBytes;
  static_assert(kWarpM % 32 == 0 && kWarpN % 32 == 0, "see Chunk::fragment");

  float sums[kMTiles][kNTiles][4] = {};  // this thread's, in the layout of the instruction's D
};

using Tile128x128 = Tile<128, 128, 2>;
using Tile128x64 = Tile<128, 64, 3>;
using Tile64x64 = Tile<64, 64, 4>;

/// Calls run with a Tile of this size.
template <class Run>
void with_tile(TileSize size, const Run& run) {
  if (size == TileSize::m128n128) return run(Tile128x128{});
  if (size == TileSize::m128n64) return run(Tile128x64{});
  run(Tile64x64{});
}

/// The shape of a chunk of one operand with `Outer` rows or columns.
template <class Stored, Order O, int Outer>
struct Chunk {
  static constexpr int kLines = O == Order::along_k ? Outer : kDepth<Stored>;
  static constexpr int kLength = O == Order::along_k ? kDepth<Stored> : Outer;
  static constexpr int kVectors = kLength / kVector<Stored>;  // per line
  static_assert(kVectors >= 8, "the swizzle permutes eight vectors");

  /// The place of vector `v` of a line.
  static __device__ Stored* at(Stored* chunk, int line, int v) {
    // Floats in order along_outer are read one by one, eight floats of each of four lines at once: a swizzle
    // of two vectors per line.
    const int swizzle = O == Order::along_outer && sizeof(Stored) == 4 ? line % 4 * 2 : line % 8;
    return chunk + line * kLength + (v ^ swizzle) * kVector<Stored>;
  }

  /// The block of 16 x 32 bytes at outer index `warp` + `outer` and step `step` of the chunk. Word 0 holds
  /// rows 0 to 7 and the lower half of k, word 1 rows 8 to 15, words 2 and 3 the same for the upper half. It
  /// is one A fragment, or two B fragments: words {0, 2} and {1, 3}. `warp` is a multiple of 32, `outer` of
  /// 16; `outer` and `step` are constants once the loops are unrolled.
  static __device__ void fragment(uint32_t (&word)[4], Stored* chunk, int warp, int outer, int step) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    if constexpr (O == Order::along_k) {
      cuda::ldmatrix_x4(word, at(chunk, warp + outer + lane % 16, 2 * step + lane / 16));
    } else if constexpr (sizeof(Stored) == 2) {
      const int k = 16 * step + lane % 8 + lane / 16 * 8;
      cuda::ldmatrix_x4_trans(word, at(chunk, k, (warp + outer) / 8 + lane / 8 % 2));
    } else {
      // Reads at(chunk, k, o / 4)[o % 4] for k = 8 step + t (+ 4) and o = warp + outer + group (+ 8). The
      // swizzle of two vectors per line is 8 t elements. The terms are sorted so that a lane needs only four
      // addresses, one for each value of (o / 8) % 4, and all the rest is constant: registers are scarce.
      const int t = lane % 4, group = lane / 4;
      RCNN_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int eighth = (outer / 8 + i % 2) % 4;
        const Stored* const own = chunk + (t * kLength + warp + group + ((8 * eighth) ^ (8 * t)));
        word[i] = __float_as_uint(own[(8 * step + i / 2 * 4) * kLength + outer / 32 * 32]);
      }
    }
    if constexpr (sizeof(Stored) == 4) {
      RCNN_UNROLL
      for (uint32_t& bits : word) bits = cuda::to_tf32(__uint_as_float(bits));
    }
  }
};

/// The warp's quarter of tile += the product of two chunks. The fragments of a step are loaded while the step
/// before it is multiplied.
template <class Element, Order OrderA, Order OrderB, class T>
__device__ void multiply_chunk(T& tile, typename Element::Stored* a, typename Element::Stored* b) {
  using ChunkA = Chunk<typename Element::Stored, OrderA, T::kM>;
  using ChunkB = Chunk<typename Element::Stored, OrderB, T::kN>;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int m = warp / 2 * T::kWarpM, n = warp % 2 * T::kWarpN;
  uint32_t fa[2][T::kMTiles][4], fb[2][T::kNTiles / 2][4];
  const auto load = [&](int step) {
    RCNN_UNROLL
    for (int i = 0; i < T::kMTiles; ++i) ChunkA::fragment(fa[step % 2][i], a, m, 16 * i, step);
    RCNN_UNROLL
    for (int j = 0; j < T::kNTiles / 2; ++j) ChunkB::fragment(fb[step % 2][j], b, n, 16 * j, step);
  };
  load(0);
  RCNN_UNROLL
  for (int step = 0; step < kSteps; ++step) {
    if (step + 1 < kSteps) load(step + 1);
    RCNN_UNROLL
    for (int i = 0; i < T::kMTiles; ++i) {
      RCNN_UNROLL
      for (int j = 0; j < T::kNTiles; ++j) {
        const uint32_t(&pair)[4] = fb[step % 2][j / 2];
        const uint32_t column[2] = {pair[j % 2], pair[j % 2 + 2]};
        Element::multiply(tile.sums[i][j], fa[step % 2][i], column);
      }
    }
  }
}

/// tile += the product over chunks [first, first + count). All threads of the block must call it; a barrier
/// comes before the first copy. `copy` loads the operands:
///     copy.prepare(chunk)     is called once for every chunk, in order, a barrier before its copy; also for
///                             kStages chunks beyond the last
///     copy.copy(chunk, a, b)  starts the cp.asyncs of this thread's part of the chunk
template <class Element, Order OrderA, Order OrderB, class T, class Copy>
__device__ void multiply(T& tile, Copy& copy, int first, int count) {
  using Stored = typename Element::Stored;
  constexpr int kStage = (T::kM + T::kN) * kDepth<Stored>, kOfA = T::kM * kDepth<Stored>;
  Stored* const ring = dynamic_shared<Stored>();

  for (int i = 0; i < kStages - 1; ++i) copy.prepare(first + i);
  __syncthreads();
  for (int i = 0; i < kStages - 1; ++i) {
    if (i < count) copy.copy(first + i, ring + i * kStage, ring + i * kStage + kOfA);
    cuda::cp_async_commit();  // even an empty group: the waits below count groups
  }
  copy.prepare(first + kStages - 1);

  int read = 0, write = kStages - 1;
  for (int i = 0; i < count; ++i) {
    cuda::cp_async_wait<kStages - 2>();
    __syncthreads();  // all can see chunk i, and all have read chunk i - 1, whose place is written next
    if (i + kStages - 1 < count)
      copy.copy(first + i + kStages - 1, ring + write * kStage, ring + write * kStage + kOfA);
    cuda::cp_async_commit();
    copy.prepare(first + i + kStages);
    multiply_chunk<Element, OrderA, OrderB>(tile, ring + read * kStage, ring + read * kStage + kOfA);
    read = read + 1 == kStages ? 0 : read + 1;
    write = write + 1 == kStages ? 0 : write + 1;
  }
}

/// Writes the sums of this thread, with the output's epilogue. Row r of the tile goes to row rows(r) and
/// column c to column columns(column + c); if one of them is negative, or the column is beyond the last,
/// nothing is written. `columns` must be the identity if out.vectors is set.
template <class T, class Rows, class Columns>
__device__ void write_tile(const T& tile, const GemmOutput& out, int column, const Rows& rows,
                           const Columns& columns) {
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int m = warp / 2 * T::kWarpM + lane / 4, n = column + warp % 2 * T::kWarpN + lane % 4 * 2;
  if (!out.vectors) {
    RCNN_UNROLL
    for (int i = 0; i < T::kMTiles; ++i) {
      RCNN_UNROLL
      for (int j = 0; j < T::kNTiles; ++j) {
        RCNN_UNROLL
        for (int e = 0; e < 4; ++e) {
          const int row = rows(m + 16 * i + e / 2 * 8), at = columns(n + 8 * j + e % 2);
          const float sum[1] = {tile.sums[i][j][e]};
          if (row >= 0 && at >= 0 && at < out.columns) write<1>(out, row, at, sum);
        }
      }
    }
    return;
  }
  // A thread holds two neighbours in each of two rows. Lanes t and t + 1 swap, so that each holds four
  // neighbours in one row.
  const bool odd = lane % 2 != 0;
  const int first = n - (odd ? 2 : 0);
  int at[T::kMTiles];
  RCNN_UNROLL
  for (int i = 0; i < T::kMTiles; ++i) at[i] = rows(m + 16 * i + (odd ? 8 : 0));
  RCNN_UNROLL
  for (int j = 0; j < T::kNTiles; ++j) {
    float sums[T::kMTiles][4];
    RCNN_UNROLL
    for (int i = 0; i < T::kMTiles; ++i) {
      const float(&own)[4] = tile.sums[i][j];
      const float other0 = __shfl_xor_sync(0xFFFFFFFFu, odd ? own[0] : own[2], 1);
      const float other1 = __shfl_xor_sync(0xFFFFFFFFu, odd ? own[1] : own[3], 1);
      sums[i][0] = odd ? other0 : own[0], sums[i][1] = odd ? other1 : own[1];
      sums[i][2] = odd ? own[2] : other0, sums[i][3] = odd ? own[3] : other1;
    }
    const int c = first + 8 * j;
    if (c < out.columns) write_rows(out, at, c, sums);
  }
}

/// A dense matrix as an operand: `lines` lines of `length` elements, where length % kVector == 0, aligned to
/// 16 bytes. Outside it, zeros are read. The tile of the block begins at `outer`.
template <class Stored, Order O, int Outer>
struct DenseOperand {
  const Stored* data;
  int lines, length, outer;

  __device__ void copy(int chunk, Stored* to) const {
    using Shape = Chunk<Stored, O, Outer>;
    const int k = chunk * kDepth<Stored>, v = static_cast<int>(threadIdx.x) % Shape::kVectors;
    const int first = O == Order::along_k ? outer : k;
    const int at = (O == Order::along_k ? k : outer) + v * kVector<Stored>;
    constexpr int kEach = kThreads / Shape::kVectors;  // lines at a time
    RCNN_UNROLL
    for (int i = 0; i < Shape::kLines / kEach; ++i) {
      const int line = static_cast<int>(threadIdx.x) / Shape::kVectors + i * kEach;
      const bool valid = first + line < lines && at < length;
      const int64_t from = valid ? static_cast<int64_t>(first + line) * length + at : 0;
      cuda::cp_async_16(Shape::at(to, line, v), data + from, valid);
    }
  }
};

}  // namespace rcnn::kernels::mma
