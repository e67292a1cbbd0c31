// A block's tile of a matrix product on tensor cores: the part that convolution and matrix product share.
//
//     D (M x N) = sum over k of A(m, k) B(k, n)
//
// Elements are TF32 (floats in memory, rounded when they were packed or on their way into the registers) or
// bf16. The same code serves both, because the depth of an instruction is 32 bytes of either, 8 floats or 16
// bf16, and ldmatrix delivers 32-bit words, one float or two bf16. So tiles, copies and addresses are the
// same in bytes.
//
// The reduction goes in chunks of 128 bytes: 32 floats or 64 bf16, four instructions deep. A chunk of A and
// one of B lie side by side in shared memory, in a ring of kStages such pairs: while the warps multiply one,
// the next ones arrive by cp.async. A block has four warps in a 2 x 2 arrangement, or eight in 2 x 4 for the
// largest tile; each warp owns a part of the tile, at most 64 x 64, and keeps its sums in registers.
//
// An operand lies in shared memory in the same order as in global memory, which is one of two (Order). Lines
// are cut into vectors of 16 bytes, and vector v of line l is stored at place v ^ swizzle(l): the eight lines
// that one ldmatrix reads at the same v then lie in eight different groups of banks, without padding.
//
// The loop over chunks holds little besides its multiplications, copies and loads of fragments: what differs
// between threads but not between chunks is computed once, in CopyShare, DenseOperand and Fragments.
//
// Bottleneck, by the estimates of tools/sass_report.py: the second-level cache, from which a tile of 128 x
// 256 reads 3/4 of what two tiles of 128 x 128 read; behind it the tensor cores, or, for smaller tiles, reads
// of shared memory (each of four warps reads half of A and half of B).
#pragma once

#include "core/cuda/device.h"
#include "core/cuda/mma.h"
#include "kernels/gemm/gemm_output.h"
#include "kernels/gemm/mma_pack.h"
#include "kernels/gemm/mma_plan.h"

namespace rcnn::kernels::mma {

inline constexpr int kStages = 3;
inline constexpr int kChunkBytes = 128;
inline constexpr int kVectorBytes = 16;
inline constexpr int kSteps = 4;  // instructions along k in a chunk

struct Tf32 {
  using Stored = float;
  using Output = GemmOutput;
  static constexpr bool kRoundB = true;  // on its way into the registers, as A
  static __device__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    cuda::mma_m16n8k8_tf32(d, a, b);
  }
};

/// B holds filters, which were rounded when they were packed.
struct Tf32Filters : Tf32 {
  static constexpr bool kRoundB = false;
};

struct Bf16 {
  using Stored = bf16;
  using Output = PackedGemmOutput;
  static constexpr bool kRoundB = false;
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

/// The tile of a block, and the parts of it that its warps own. `Blocks` is how many blocks fit on an SM at a
/// time.
template <int M, int N, int Blocks>
struct Tile {
  static constexpr int kM = M, kN = N, kBlocks = Blocks;
  static constexpr int kWarpRows = 2, kWarpColumns = N > 128 ? 4 : 2;
  static constexpr int kThreads = 32 * kWarpRows * kWarpColumns;
  static constexpr int kWarpM = M / kWarpRows, kWarpN = N / kWarpColumns;
  static constexpr int kMTiles = kWarpM / 16, kNTiles = kWarpN / 8;
  static constexpr size_t kSharedBytes = static_cast<size_t>(kStages) * (M + N) * kChunkBytes;
  static_assert(kWarpM % 32 == 0 && kWarpN % 32 == 0, "see Fragments");

  /// The part of this thread's warp begins at (warp_row(), warp_column()).
  static __device__ int warp_row() { return static_cast<int>(threadIdx.x) / 32 / kWarpColumns * kWarpM; }
  static __device__ int warp_column() { return static_cast<int>(threadIdx.x) / 32 % kWarpColumns * kWarpN; }

  float sums[kMTiles][kNTiles][4] = {};  // this thread's, in the layout of the instruction's D
};

using Tile128x256 = Tile<128, 256, 1>;
using Tile128x128 = Tile<128, 128, 2>;
using Tile128x64 = Tile<128, 64, 3>;
using Tile64x64 = Tile<64, 64, 4>;
static_assert(Tile128x256::kSharedBytes + 4096 <= kLargeTileShared, "4 KiB are for what a kernel adds");

/// Calls run with a Tile of the size that is planned, or of one that fits on the card.
template <class Run>
void with_tile(const Stream& stream, TileSize planned, const Run& run) {
  const TileSize size = tile_that_fits(planned, cuda::device_info(stream.device.index).block_shared);
  if (size == TileSize::m128n256) return run(Tile128x256{});
  if (size == TileSize::m128n128) return run(Tile128x128{});
  if (size == TileSize::m128n64) return run(Tile128x64{});
  run(Tile64x64{});
}

/// The shape of a chunk of one operand with `Outer` rows or columns.
template <class S, Order O, int Outer>
struct Chunk {
  using Stored = S;
  static constexpr Order kOrder = O;
  static constexpr int kLines = O == Order::along_k ? Outer : kDepth<Stored>;
  static constexpr int kLength = O == Order::along_k ? kDepth<Stored> : Outer;
  static constexpr int kVectors = kLength / kVector<Stored>;  // per line
  static constexpr int kLineBytes = kVectors * kVectorBytes;
  static_assert(kVectors >= 8, "the swizzle permutes eight vectors");

  /// The swizzle repeats after this many lines.
  static constexpr int kPeriod = O == Order::along_outer && sizeof(Stored) == 4 ? 4 : 8;

  /// The place of vector `v` of a line, in bytes.
  static __device__ int place(int line, int v) {
    // Floats in order along_outer are read one by one, eight floats of each of four lines at once: a swizzle
    // of two vectors per line.
    const int swizzle = kPeriod == 4 ? line % 4 * 2 : line % 8;
    return line * kLineBytes + (v ^ swizzle) * kVectorBytes;
  }
};

/// An address `bytes` behind another one.
template <class Stored>
__device__ inline Stored* behind(Stored* address, int bytes) {
  return reinterpret_cast<Stored*>(reinterpret_cast<unsigned char*>(address) + bytes);
}

enum class Operand { a, b };

/// Reads a warp's fragments of an operand from its chunks. What differs between lanes is computed once: for a
/// chunk only its address is added, and all the rest is constant once the loops are unrolled.
/// `Round` rounds floats to TF32.
template <Operand Which, class Shape, bool Round>
struct Fragments {
  using Stored = typename Shape::Stored;
  static constexpr bool kAlongK = Shape::kOrder == Order::along_k;
  int places[4];

  /// A fragment is 16 outer indices x 32 bytes, in four words: an A fragment, or two B fragments, {0, 1} and
  /// {2, 3}. The instruction takes a fragment's words from neighbouring registers, so their order differs:
  /// these are the halves of the outer indices and of the bytes that word `i` holds.
  static constexpr __device__ int outer_half(int i) { return Which == Operand::a ? i % 2 : i / 2; }
  static constexpr __device__ int k_half(int i) { return Which == Operand::a ? i / 2 : i % 2; }

  /// The warp's part of the operand begins at the outer index `warp`, a multiple of 32.
  explicit __device__ Fragments(int warp) {
    const int lane = static_cast<int>(threadIdx.x) % 32, row = lane % 8, matrix = lane / 8;
    RCNN_UNROLL
    for (int i = 0; i < 4; ++i) {
      if constexpr (kAlongK) {  // one for each step
        places[i] = Shape::place(warp + row + 8 * outer_half(matrix), 2 * i + k_half(matrix));
      } else if constexpr (sizeof(Stored) == 2) {  // one for each 16 of 64 outer indices
        places[i] = Shape::place(row + 8 * k_half(matrix), warp / 8 + 2 * i + outer_half(matrix));
      } else {  // one for each 8 of 32 outer indices; the lane's element is (k, o) = (t, warp + 8 i + group)
        const int t = lane % 4, group = lane / 4;
        places[i] = Shape::place(t, warp / 4 + 2 * i + group / 4) + group % 4 * 4;
      }
    }
  }

  /// The fragment that begins at `outer`, a multiple of 16, in the warp's part, and at step `step`.
  __device__ void read(uint32_t (&word)[4], Stored* chunk, int outer, int step) const {
    if constexpr (kAlongK) {
      cuda::ldmatrix_x4(word, behind(chunk, places[step] + outer * Shape::kLineBytes));
    } else if constexpr (sizeof(Stored) == 2) {
      cuda::ldmatrix_x4_trans(word, behind(chunk, places[outer / 16] + 16 * step * Shape::kLineBytes));
    } else {
      RCNN_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int at = outer + 8 * outer_half(i), k = 8 * step + 4 * k_half(i);
        word[i] =
            __float_as_uint(*behind(chunk, places[at / 8 % 4] + at / 32 * 32 * 4 + k * Shape::kLineBytes));
      }
    }
    if constexpr (sizeof(Stored) == 4 && Round) {
      RCNN_UNROLL
      for (uint32_t& bits : word) bits = cuda::to_tf32(__uint_as_float(bits));
    }
  }
};

/// The warp's part of tile += the product of two chunks. The fragments of a step are loaded while the step
/// before it is multiplied.
template <class Element, class T, class FragmentsA, class FragmentsB>
__device__ void multiply_chunk(T& tile, const FragmentsA& of_a, const FragmentsB& of_b,
                               typename Element::Stored* a, typename Element::Stored* b) {
  uint32_t fa[2][T::kMTiles][4], fb[2][T::kNTiles / 2][4];
  const auto load = [&](int step) {
    RCNN_UNROLL
    for (int i = 0; i < T::kMTiles; ++i) of_a.read(fa[step % 2][i], a, 16 * i, step);
    RCNN_UNROLL
    for (int j = 0; j < T::kNTiles / 2; ++j) of_b.read(fb[step % 2][j], b, 16 * j, step);
  };
  load(0);
  RCNN_UNROLL
  for (int step = 0; step < kSteps; ++step) {
    if (step + 1 < kSteps) load(step + 1);
    RCNN_UNROLL
    for (int i = 0; i < T::kMTiles; ++i) {
      RCNN_UNROLL
      for (int j = 0; j < T::kNTiles; ++j) {
        const uint32_t(&two)[4] = fb[step % 2][j / 2];
        const uint32_t column[2] = {two[j % 2 * 2], two[j % 2 * 2 + 1]};
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
  const Fragments<Operand::a, Chunk<Stored, OrderA, T::kM>, true> of_a(T::warp_row());
  const Fragments<Operand::b, Chunk<Stored, OrderB, T::kN>, Element::kRoundB> of_b(T::warp_column());

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
    multiply_chunk<Element>(tile, of_a, of_b, ring + read * kStage, ring + read * kStage + kOfA);
    read = read + 1 == kStages ? 0 : read + 1;
    write = write + 1 == kStages ? 0 : write + 1;
  }
}

/// Writes the sums of this thread, with the output's epilogue. Row r of the tile goes to row rows(r) and
/// column c to column columns(column + c); if one of them is negative, or the column is beyond the last,
/// nothing is written. `columns` must be the identity if out.vectors is set.
template <class T, class Output, class Rows, class Columns>
__device__ void write_tile(const T& tile, const Output& out, int column, const Rows& rows,
                           const Columns& columns) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int m = T::warp_row() + lane / 4, n = column + T::warp_column() + lane % 4 * 2;
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

/// A thread's part of the copy of a chunk: the same vector of kCount lines, kEach apart.
template <class Shape, int Threads>
struct CopyShare {
  using Stored = typename Shape::Stored;
  static constexpr int kEach = Threads / Shape::kVectors;
  static constexpr int kCount = Shape::kLines / kEach;
  static_assert(kEach % Shape::kPeriod == 0 && Shape::kLines % kEach == 0, "all lines have one swizzle");

  int vector = static_cast<int>(threadIdx.x) % Shape::kVectors;
  int line = static_cast<int>(threadIdx.x) / Shape::kVectors;  // the first
  int place = Shape::place(line, vector);

  /// Starts the copy of this thread's vector of line `line` + i kEach.
  __device__ void copy(Stored* chunk, int i, const Stored* from, bool valid) const {
    cuda::cp_async_16(behind(chunk, place + i * kEach * Shape::kLineBytes), from, valid);
  }
};

/// A dense matrix as an operand: `lines` lines of `length` elements, where length % kVector == 0, aligned to
/// 16 bytes. Outside it, zeros are read. The tile of the block begins at `outer`.
template <class Stored, Order O, int Outer, int Threads>
struct DenseOperand {
  using Share = CopyShare<Chunk<Stored, O, Outer>, Threads>;
  static constexpr bool kAlongK = O == Order::along_k;

  __device__ DenseOperand(const Stored* data, int lines, int length, int outer) : length_(length) {
    const int line = share_.line + (kAlongK ? outer : 0);
    column_ = share_.vector * kVector<Stored> + (kAlongK ? 0 : outer);
    from_ = data + static_cast<int64_t>(line) * length + column_;
    lines_ = lines - line;
  }

  __device__ void copy(int chunk, Stored* to) const {
    const int k = chunk * kDepth<Stored>;
    const Stored* const from = from_ + (kAlongK ? k : static_cast<int64_t>(k) * length_);
    const bool some = column_ + (kAlongK ? k : 0) < length_;
    const int lines = some ? lines_ - (kAlongK ? 0 : k) : 0;  // that are left
    RCNN_UNROLL
    for (int i = 0; i < Share::kCount; ++i)
      share_.copy(to, i, from + static_cast<int64_t>(i * Share::kEach) * length_, i * Share::kEach < lines);
  }

 private:
  Share share_;
  const Stored* from_;  // this thread's vector of chunk 0
  int length_, column_, lines_;
};

}  // namespace rcnn::kernels::mma
