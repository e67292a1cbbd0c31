// A block's share of a matrix product in float: register tiles, vector loads, double buffering.
//
// A block computes a tile of the output in steps along the reduction. The operands of a step, a tile of rows
// and a tile of columns, each DEPTH long, lie in shared memory. Each of 16 x 16 threads multiplies TR rows by
// TC columns, its register tile, so a value read from shared memory is used TR or TC times. While one step is
// multiplied, the values of the next are loaded from global memory into registers; they then go to the other
// of two buffers, so one barrier per step is enough.
//
// Two operands (patches of an image, a matrix) define what is multiplied. An operand is a set of lines, the
// rows of the left factor or the columns of the right one, and has these members:
//
//     kVector                                      values that it reads at once, 4 (float4) or 1
//     kAlongDepth                                  whether neighbours in memory follow each other along the
//                                                  reduction; otherwise they belong to neighbouring lines
//     Line line(int index)                         what to keep of a line; index may be beyond the last
//     Depth depth(int index)                       what to keep of a position along the reduction
//     void read(Line, Depth, float (&v)[kVector])  the values that start there; 0 if they do not exist
//     int output_row(int index)                    the row in the output of a line of the left factor
#pragma once

#include <type_traits>

#include "kernels/gemm/gemm_output.h"

namespace rcnn::kernels {

constexpr int kTileThreads = 256;       // 16 x 16
constexpr int kBlocksPerProcessor = 2;  // for __launch_bounds__: 128 registers per thread

/// A block's tile: 16 TR x 16 TC outputs, with DEPTH terms of their sums per step.
template <int TR, int TC, int DEPTH>
struct GemmTile {
  static constexpr int kThreadRows = TR, kThreadColumns = TC;
  static constexpr int kRows = 16 * TR, kColumns = 16 * TC, kDepth = DEPTH;
  static_assert(TR % 4 == 0 && TC % 4 == 0, "register tiles are read from shared memory as float4");

  static int64_t tiles(int64_t rows, int64_t columns) {
    return (rows + kRows - 1) / kRows * ((columns + kColumns - 1) / kColumns);
  }

  /// The number of parts to split a reduction over `depth` into: that of the call's plan, or the rule's. A
  /// part sums at least 64 terms; with fewer, adding the parts would cost too much.
  static int parts(Workspace& workspace, int64_t tiles, int64_t depth) {
    return parts_of_call(workspace, tiles, depth / kDepth, 64 / kDepth);
  }
};

using WidestTile = GemmTile<8, 8, 8>;

/// Calls run(tile, vector) with the GemmTile for an output of this size, and with the length of the
/// vectors, std::integral_constant 4 or 1. The tile is `Widest` if there are vectors and more than 64
/// rows and columns.
template <class Widest, class Run>
void with_tile(int64_t rows, int64_t columns, bool vectors, Run run) {
  using Vector = std::integral_constant<int, 4>;
  using Scalar = std::integral_constant<int, 1>;
  using Small = GemmTile<4, 4, 16>;
  using Narrow = GemmTile<8, 4, 16>;  // also for scalars, whose loads need registers that the widest lacks
  if (rows <= 64)
    vectors ? run(Small{}, Vector{}) : run(Small{}, Scalar{});
  else if (!vectors)
    run(Narrow{}, Scalar{});
  else if (columns <= 64)
    run(Narrow{}, Vector{});
  else
    run(Widest{}, Vector{});
}

/// Columns of padding in shared memory: 4 keep float4 aligned and spread the transposing stores of a warp
/// over the banks.
constexpr int kTilePadding = 4;

/// One thread's part in loading LINES lines x DEPTH of an operand into shared memory, as [DEPTH][LINES].
template <class Operand, int LINES, int DEPTH>
class TileLoader {
 public:
  __device__ TileLoader(const Operand& operand, int first_line) : operand_(operand) {
    RCNN_UNROLL
    for (int i = 0; i < kLines; ++i) lines_[i] = operand_.line(first_line + line_of(i));
  }

  /// Reads from global memory into registers.
  __device__ void read(int first_depth) {
    if constexpr (Operand::kAlongDepth) {
      const typename Operand::Depth depth = operand_.depth(first_depth + depth_of(0));
      RCNN_UNROLL
      for (int i = 0; i < kLoads; ++i) operand_.read(lines_[i], depth, values_[i]);
    } else {
      RCNN_UNROLL
      for (int i = 0; i < kLoads; ++i)
        operand_.read(lines_[0], operand_.depth(first_depth + depth_of(i)), values_[i]);
    }
  }

  /// Writes what was read to shared memory.
  __device__ void write(float (&tile)[DEPTH][LINES + kTilePadding]) const {
    RCNN_UNROLL
    for (int i = 0; i < kLoads; ++i) {
      if constexpr (Operand::kAlongDepth) {
        RCNN_UNROLL
        for (int j = 0; j < V; ++j) tile[depth_of(i) + j][line_of(i)] = values_[i][j];
      } else {
        write_values<V>(&tile[depth_of(i)][line_of(i)], values_[i]);
      }
    }
  }

 private:
  static constexpr int V = Operand::kVector;
  static constexpr int kAcross =
      (Operand::kAlongDepth ? DEPTH : LINES) / V;                    // vectors side by side in memory
  static constexpr int kLoads = LINES * DEPTH / (V * kTileThreads);  // per thread
  static constexpr int kLines = Operand::kAlongDepth ? kLoads : 1;   // different lines among them
  static_assert(kLoads >= 1 && kLoads * V * kTileThreads == LINES * DEPTH && kTileThreads % kAcross == 0,
                "every thread loads the same number of vectors, one below the other");

  // The vector of load i lies kTileThreads / kAcross lines of memory below that of load i - 1.
  static __device__ int across() { return static_cast<int>(threadIdx.x) % kAcross * V; }
  static __device__ int below(int i) {
    return static_cast<int>(threadIdx.x) / kAcross + i * (kTileThreads / kAcross);
  }
  static __device__ int line_of(int i) { return Operand::kAlongDepth ? below(i) : across(); }
  static __device__ int depth_of(int i) { return Operand::kAlongDepth ? across() : below(i); }

  const Operand& operand_;
  typename Operand::Line lines_[kLines];
  float values_[kLoads][V];
};

/// Adds the products of one step to the register tile of a thread. Its rows are 4 ty .. 4 ty + 3 and, for
/// TR = 8, the four that lie 64 below them; likewise its columns. So neighbouring threads read neighbouring
/// float4, without bank conflicts.
template <class Tile>
__device__ inline void multiply_step(const float (&rows)[Tile::kDepth][Tile::kRows + kTilePadding],
                                     const float (&columns)[Tile::kDepth][Tile::kColumns + kTilePadding],
                                     int ty, int tx, float (&sums)[Tile::kThreadRows][Tile::kThreadColumns]) {
  RCNN_UNROLL
  for (int d = 0; d < Tile::kDepth; ++d) {
    float a[Tile::kThreadRows / 4][4], b[Tile::kThreadColumns / 4][4];
    RCNN_UNROLL
    for (int i = 0; i < Tile::kThreadRows / 4; ++i) read_values<4>(&rows[d][64 * i + 4 * ty], a[i]);
    RCNN_UNROLL
    for (int j = 0; j < Tile::kThreadColumns / 4; ++j) read_values<4>(&columns[d][64 * j + 4 * tx], b[j]);
    RCNN_UNROLL
    for (int i = 0; i < Tile::kThreadRows; ++i) {
      RCNN_UNROLL
      for (int j = 0; j < Tile::kThreadColumns; ++j)
        sums[i][j] = fmaf(a[i / 4][i % 4], b[j / 4][j % 4], sums[i][j]);
    }
  }
}

/// Writes the register tile of a thread. (row, column) is its first output.
template <class Tile, class Left>
__device__ inline void write_tile(const Left& left, int row, int column, int rows,
                                  const float (&sums)[Tile::kThreadRows][Tile::kThreadColumns],
                                  const GemmOutput& output) {
  RCNN_UNROLL
  for (int i = 0; i < Tile::kThreadRows; ++i) {
    const int r = row + 64 * (i / 4) + i % 4;
    if (r >= rows) continue;
    const int output_row = left.output_row(r);
    RCNN_UNROLL
    for (int j = 0; j < Tile::kThreadColumns; j += 4)
      write_up_to_4(output, output_row, column + 16 * j,
                    {sums[i][j], sums[i][j + 1], sums[i][j + 2], sums[i][j + 3]});
  }
}

/// All the work of a block: tile blockIdx.x, counted along the columns first so that blocks that run
/// together share rows of the left factor, and part blockIdx.z of a reduction over `depth`. All threads of
/// the block must call it.
template <class Tile, class Left, class Right>
__device__ inline void multiply_tile(const Left& left, const Right& right, int rows, int depth,
                                     const GemmOutput& output, const GemmParts& parts) {
  RCNN_SHARED(float, row_tiles, [2][Tile::kDepth][Tile::kRows + kTilePadding]);
  RCNN_SHARED(float, column_tiles, [2][Tile::kDepth][Tile::kColumns + kTilePadding]);

  const int across = (output.columns + Tile::kColumns - 1) / Tile::kColumns;
  const int tile_row = static_cast<int>(blockIdx.x) / across;
  const int first_row = tile_row * Tile::kRows;
  const int first_column = (static_cast<int>(blockIdx.x) - tile_row * across) * Tile::kColumns;
  if (first_row >= rows) return;  // the whole block: a phase of dx with fewer rows than phase 0
  const int tx = static_cast<int>(threadIdx.x) % 16, ty = static_cast<int>(threadIdx.x) / 16;

  float sums[Tile::kThreadRows][Tile::kThreadColumns] = {};
  const StepRange steps = steps_of_part((depth + Tile::kDepth - 1) / Tile::kDepth, parts, blockIdx.z);
  if (steps.begin < steps.end) {
    TileLoader<Left, Tile::kRows, Tile::kDepth> row_loader(left, first_row);
    TileLoader<Right, Tile::kColumns, Tile::kDepth> column_loader(right, first_column);
    row_loader.read(steps.begin * Tile::kDepth);
    column_loader.read(steps.begin * Tile::kDepth);
    row_loader.write(row_tiles[0]);
    column_loader.write(column_tiles[0]);
    __syncthreads();
    int buffer = 0;
    for (int step = steps.begin; step < steps.end; ++step, buffer ^= 1) {
      const bool more = step + 1 < steps.end;
      if (more) {
        row_loader.read((step + 1) * Tile::kDepth);
        column_loader.read((step + 1) * Tile::kDepth);
      }
      multiply_step<Tile>(row_tiles[buffer], column_tiles[buffer], ty, tx, sums);
      if (more) {  // the other buffer was last read before the previous barrier
        row_loader.write(row_tiles[buffer ^ 1]);
        column_loader.write(column_tiles[buffer ^ 1]);
      }
      __syncthreads();
    }
  }

  const int row = first_row + 4 * ty, column = first_column + 4 * tx;
  if (parts.count == 1)
    write_tile<Tile>(left, row, column, rows, sums, output);
  else
    write_tile<Tile>(left, row, column, rows, sums, share_of_part(output, parts, blockIdx.z));
}

/// A row-major matrix as an operand: (lines, depth), or (depth, lines) if kAlongDepth is false. Vectors of 4
/// require that the length of its rows in memory is a multiple of 4 and that `data` is aligned.
template <int V, bool ALONG_DEPTH>
struct MatrixLines {
  static constexpr int kVector = V;
  static constexpr bool kAlongDepth = ALONG_DEPTH;
  using Line = int;  // Line and Depth are offsets that are added; -1: none
  using Depth = int;

  const float* data;
  int lines, depths;

  __device__ int line(int index) const { return index < lines ? index * (kAlongDepth ? depths : 1) : -1; }
  __device__ int depth(int index) const { return index < depths ? index * (kAlongDepth ? 1 : lines) : -1; }
  __device__ void read(int line, int depth, float (&values)[V]) const {
    if (line >= 0 && depth >= 0) {
      read_values<V>(data + line + depth, values);
    } else {
      RCNN_UNROLL
      for (int i = 0; i < V; ++i) values[i] = 0;
    }
  }
  __device__ int output_row(int index) const { return index; }
};

}  // namespace rcnn::kernels
