// Convolution as an implicit matrix product on register tiles: kernels/gemm/conv2d_gemm.h describes the three
// products and kernels/gemm/gemm_tiles.h how a block multiplies.
//
// Bottleneck: the multiply-add pipes, for maps with many channels; a value in shared memory is used 64 to
// 128 times in all, and 4 or 8 times for each read into a register. A 1 x 1 filter on few channels is
// limited by memory.
#include "kernels/gemm/conv2d_gemm.h"
#include "kernels/gemm/gemm_tiles.h"

namespace rcnn::kernels {
namespace {

/// Patches as rows of the left factor: the channels of a tap lie along the reduction.
template <int V>
struct PatchLines {
  static constexpr int kVector = V;
  static constexpr bool kAlongDepth = true;
  using Line = PatchRow;
  using Depth = PatchTap;

  const Patches& patches;
  const float* image;

  __device__ PatchRow line(int index) const { return patches.row(index); }
  __device__ PatchTap depth(int index) const { return patches.tap(index); }
  __device__ void read(const PatchRow& row, const PatchTap& tap, float (&values)[V]) const {
    if (patches.inside(row, tap)) {
      read_values<V>(image + (row.offset + tap.offset), values);
    } else {
      RCNN_UNROLL
      for (int i = 0; i < V; ++i) values[i] = 0;
    }
  }
  __device__ int output_row(int index) const { return patches.output_row(index); }
};

/// Patches as the right factor of dw: columns are (tap, c), the reduction runs over positions.
template <int V>
struct PatchColumns {
  static constexpr int kVector = V;
  static constexpr bool kAlongDepth = false;
  using Line = PatchTap;
  using Depth = PatchRow;

  PatchLines<V> rows;

  __device__ PatchTap line(int index) const { return rows.depth(index); }
  __device__ PatchRow depth(int index) const { return rows.line(index); }
  __device__ void read(const PatchTap& tap, const PatchRow& row, float (&values)[V]) const {
    rows.read(row, tap, values);
  }
};

/// The filters as the right factor of dx: columns are c, the reduction runs over (tap, k).
template <int V>
struct FilterColumns {
  static constexpr int kVector = V;
  static constexpr bool kAlongDepth = false;
  using Line = int;  // c, or -1
  using Depth = int;

  const Patches& patches;
  const float* w;
  int c;

  __device__ int line(int index) const { return index < c ? index : -1; }
  __device__ int depth(int index) const {
    return index < patches.depth() ? patches.filter_offset(index, c) : -1;
  }
  __device__ void read(int line, int depth, float (&values)[V]) const {
    if (line >= 0 && depth >= 0) {
      read_values<V>(w + line + depth, values);
    } else {
      RCNN_UNROLL
      for (int i = 0; i < V; ++i) values[i] = 0;
    }
  }
};

// The kernels: one block of 256 threads per tile (blockIdx.x), part of its reduction (blockIdx.z) and, in dx,
// phase (blockIdx.y). V = 4 reads float4: it requires that the number of channels (in dx and dw also that of
// filters) is a multiple of 4 and that the tensors are aligned.

template <class Tile, int V>
__global__ __launch_bounds__(kTileThreads, kBlocksPerProcessor)  //
    void forward_kernel(Patches patches, const float* x, const float* w, GemmOutput output, GemmParts parts) {
  const PatchLines<V> left{patches, x};
  const MatrixLines<V, true> right{w, output.columns, patches.depth()};
  multiply_tile<Tile>(left, right, patches.rows(), patches.depth(), output, parts);
}

template <class Tile, int V>
__global__ __launch_bounds__(kTileThreads, kBlocksPerProcessor)  //
    void dx_kernel(ConvDims dims, const float* g, const float* w, GemmOutput output, GemmParts parts) {
  const Patches patches = patches_of_g(dims, static_cast<int>(blockIdx.y));
  const PatchLines<V> left{patches, g};
  const FilterColumns<V> right{patches, w, output.columns};
  multiply_tile<Tile>(left, right, patches.rows(), patches.depth(), output, parts);
}

template <class Tile, int V>
__global__ __launch_bounds__(kTileThreads, kBlocksPerProcessor)  //
    void dw_kernel(Patches patches, const float* g, const float* x, GemmOutput output, GemmParts parts) {
  const MatrixLines<V, false> left{g, parts.rows, patches.rows()};
  const PatchColumns<V> right{{patches, x}};
  multiply_tile<Tile>(left, right, parts.rows, patches.rows(), output, parts);
}

}  // namespace

void conv2d_implicit_gemm(const Stream& stream, Workspace& workspace, const Conv2dArgs<float>& a) {
  const ConvDims p = conv_dims(a.shape);
  const Patches patches = patches_of_x(p);
  const GemmOutput output = output_of(p, a);
  const bool vectors = four_at_a_time(p.c, {a.x, a.w});
  with_tile<WidestTile>(patches.rows(), output.columns, vectors, [&](auto tile, auto vector) {
    using Tile = decltype(tile);
    const int64_t tiles = Tile::tiles(patches.rows(), output.columns);
    const GemmParts parts =
        take_parts(workspace, Tile::parts(workspace, tiles, patches.depth()), patches.rows(), output);
    launch<forward_kernel<Tile, vector()>>(stream, grid_of(tiles, 1, parts), kTileThreads, 0, patches, a.x,
                                           a.w, output, parts);
    combine_parts(stream, parts, output);
  });
}

void conv2d_dx_implicit_gemm(const Stream& stream, Workspace& workspace, const Conv2dDxArgs<float>& a) {
  const ConvDims p = conv_dims(a.shape);
  const Patches largest = patches_of_g(p, 0);
  const int phases = dx_phases(p);
  const GemmOutput output = output_of(p, a);
  const bool vectors = p.k % 4 == 0 && four_at_a_time(p.c, {a.g, a.w});
  // The index arithmetic of the two operands leaves dx no registers for 8 x 8 sums per thread.
  with_tile<GemmTile<8, 4, 16>>(largest.rows(), output.columns, vectors, [&](auto tile, auto vector) {
    using Tile = decltype(tile);
    const int64_t tiles = Tile::tiles(largest.rows(), output.columns);
    const int64_t depth = p.r * p.s * p.k / phases;  // of one phase, on average
    const GemmParts parts =
        take_parts(workspace, Tile::parts(workspace, tiles * phases, depth), p.n * p.h * p.w, output);
    launch<dx_kernel<Tile, vector()>>(stream, grid_of(tiles, phases, parts), kTileThreads, 0, p, a.g, a.w,
                                      output, parts);
    combine_parts(stream, parts, output);
  });
}

void conv2d_dw_implicit_gemm(const Stream& stream, Workspace& workspace, const Conv2dDwArgs<float>& a) {
  const ConvDims p = conv_dims(a.shape);
  const Patches patches = patches_of_x(p);
  const GemmOutput output = output_of(p, a);
  const bool vectors = p.k % 4 == 0 && four_at_a_time(p.c, {a.x, a.g});
  with_tile<WidestTile>(p.k, output.columns, vectors, [&](auto tile, auto vector) {
    using Tile = decltype(tile);
    const int64_t tiles = Tile::tiles(p.k, output.columns);
    const GemmParts parts = take_parts(workspace, Tile::parts(workspace, tiles, patches.rows()), p.k, output);
    launch<dw_kernel<Tile, vector()>>(stream, grid_of(tiles, 1, parts), kTileThreads, 0, patches, a.g, a.x,
                                      output, parts);
    combine_parts(stream, parts, output);
  });
}

}  // namespace rcnn::kernels
