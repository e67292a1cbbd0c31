// A block's share of a matrix product in float: register tiles, vector loads, double buffering.
//
// A block computes a tile of the output in steps along the reduction. A step's operands, a tile of rows and a
// tile of columns, each DEPTH long, lie in shared memory; each of 16 x 16 threads multiplies TR rows with TC
// columns, its register tile, so that a value read from shared memory is used TR or TC times. While a step is
// multiplied, the next one's values are on their way from global memory to registers; they go to the other of
// two buffers, so one barrier a step is enough.
//
// What is multiplied is given by two operands (patches of an image, a matrix). An operand is a set of lines,
// the rows of the left factor or the columns of the right one:
//
//     kVector      values it reads at once, 4 (float4) or 1
//     kAlongDepth  whether neighbours in memory are neighbours along the reduction, else from line to line
//     Line line(int index)                     what is worth keeping of a line; any index
//     Depth depth(int index)                   of a position along the reduction; any index
//     void read(Line, Depth, float (&v)[kVector])   the values from there on; 0 for what does not exist
//     int output_row(int index)                left factor: the output's row of a line
#pragma once

#include <type_traits>

#include "kernels/gemm/gemm_output.h"

namespace rcnn::kernels {

constexpr int kTileThreads = 256;     // 16 x 16
constexpr int kBlocksAProcessor = 2;  // for __launch_bounds__: 128 registers a thread

/// A block's tile: 16 TR x 16 TC outputs, DEPTH terms of their sums a step.
template <int TR, int TC, int DEPTH>
struct GemmTile {
  static constexpr int kThreadRows = TR, kThreadColumns = TC;
  static constexpr int kRows = 16 * TR, kColumns = 16 * TC, kDepth = DEPTH;
  static_assert(TR % 4 == 0 && TC % 4 == 0, "register tiles are read from shared memory as float4");

  static int64_t tiles(int64_t rows, int64_t columns) {
    return (rows + kRows - 1) / kRows * ((columns + kColumns - 1) / kColumns);
  }

  /// In how many parts to split a reduction over `depth`. A part sums at least 64 terms, or adding the parts
  /// would cost too much.
  static int parts(int64_t tiles, int64_t depth) { return parts_of(tiles, depth / kDepth, 64 / kDepth); }
};

using WidestTile = GemmTile<8, 8, 8>;

/// Calls run(tile, vector) with the GemmTile for an output of that size, `Widest` for one of more than 64 x
/// 64, and with std::integral_constant 4 or 1, the length of the vectors.
template <class Widest, class Run>
void with_tile(int64_t rows, int64_t columns, bool vectors, Run run) {
  using Vector = std::integral_constant<int, 4>;
  using Scalar = std::integral_constant<int, 1>;
  using Small = GemmTile<4, 4, 16>;
  using Narrow = GemmTile<8, 4, 16>;  // and for scalars, whose loads would take the widest one's registers
  if (rows <= 64)
    vectors ? run(Small{}, Vector{}) : run(Small{}, Scalar{});
  else if (!vectors)
    run(Narrow{}, Scalar{});
  else if (columns <= 64)
    run(Narrow{}, Vector{});
  else
    run(Widest{}, Vector{});
}

/// Columns of padding in shared memory: 4 keep float4 aligned, and put the rows of a warp's transposing
/// stores in different banks.
constexpr int kTilePadding = 4;

/// One thread's part in bringing LINES lines x DEPTH of an operand to shared memory, as [DEPTH][LINES].
template <class Operand, int LINES, int DEPTH>
class TileLoader {
 public:
  __device__ TileLoader(const Operand& operand, int first_line) : operand_(operand) {
    RCNN_UNROLL
    for (int i = 0; i < kLines; ++i) lines_[i] = operand_.line(first_line + line_of(i));
  }

  /// Reads from global memory to registers.
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
  static constexpr int kLoads = LINES * DEPTH / (V * kTileThreads);  // a thread
  static constexpr int kLines = Operand::kAlongDepth ? kLoads : 1;   // different ones among them
  static_assert(kLoads >= 1 && kLoads * V * kTileThreads == LINES * DEPTH && kTileThreads % kAcross == 0,
                "every thread brings the same number of vectors, below one another");

  // Load i of this thread: its vector stands kTileThreads / kAcross lines of memory below that of load i - 1.
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

/// Adds the products of one step to a thread's register tile. Its rows are 4 ty .. 4 ty + 3, and for TR = 8
/// the same 64 below; its columns likewise: then the float4 of neighbouring threads are neighbours, without
/// bank conflicts.
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

/// Writes a thread's register tile, whose first output is (row, column).
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

/// The whole work of a block: tile blockIdx.x, counted along the columns first so that blocks that run
/// together share rows of the left factor, and part blockIdx.z of a reduction over `depth`. All threads must
/// come here.
template <class Tile, class Left, class Right>
__device__ inline void multiply_tile(const Left& left, const Right& right, int rows, int depth,
                                     const GemmOutput& output, const GemmParts& parts) {
  RCNN_SHARED(float, row_tiles, [2][Tile::kDepth][Tile::kRows + kTilePadding]);
  RCNN_SHARED(float, column_tiles, [2][Tile::kDepth][Tile::kColumns + kTilePadding]);

  const int across = (output.columns + Tile::kColumns - 1) / Tile::kColumns;
  const int tile_row = static_cast<int>(blockIdx.x) / across;
  const int first_row = tile_row * Tile::kRows;
  const int first_column = (static_cast<int>(blockIdx.x) - tile_row * across) * Tile::kColumns;
  if (first_row >= rows) return;  // a phase of dx with fewer rows than phase 0; the whole block
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

/// A row-major matrix as an operand: (lines, depth), or with kAlongDepth false (depth, lines). Vectors of 4
/// need that the length of its rows in memory is a multiple of 4 and `data` aligned.
template <int V, bool ALONG_DEPTH>
struct MatrixLines {
  static constexpr int kVector = V;
  static constexpr bool kAlongDepth = ALONG_DEPTH;
  using Line = int;  // offsets of the line and of the position in it, or -1
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
