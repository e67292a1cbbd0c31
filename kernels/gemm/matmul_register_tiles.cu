// Matrix product on register tiles: see kernels/gemm/gemm_tiles.h. Bottleneck: the multiply-add pipes; with
// few rows (a fully connected layer has one per RoI), reading the weights.
#include "kernels/gemm/gemm_tiles.h"
#include "kernels/gemm/matmul_gemm.h"

namespace rcnn::kernels {
namespace {

/// One block of 256 threads per tile (blockIdx.x) and part of its sums (blockIdx.z). TA and TB: whether a and
/// b are transposed. V = 4 reads float4: see vectors_in.
template <class Tile, bool TA, bool TB, int V>
__global__ __launch_bounds__(kTileThreads, kBlocksPerProcessor) void register_tiles_kernel(
    int m, int k, const float* a, const float* b, GemmOutput output, GemmParts parts) {
  const MatrixLines<V, !TA> left{a, m, k};
  const MatrixLines<V, TB> right{b, output.columns, k};
  multiply_tile<Tile>(left, right, m, k, output, parts);
}

template <bool TA, bool TB>
void multiply(const Stream& stream, Workspace& workspace, const MatmulArgs<float>& x) {
  const MatmulDims p = matmul_dims(x);
  const GemmOutput output = output_of(p, x);
  with_tile<WidestTile>(p.m, p.n, vectors_in(x), [&](auto tile, auto vector) {
    using Tile = decltype(tile);
    const int64_t tiles = Tile::tiles(p.m, p.n);
    const GemmParts parts = take_parts(workspace, Tile::parts(workspace, tiles, p.k), p.m, output);
    launch<register_tiles_kernel<Tile, TA, TB, vector()>>(stream, grid_of(tiles, 1, parts), kTileThreads, 0,
                                                          p.m, p.k, x.a, x.b, output, parts);
    combine_parts(stream, parts, output);
  });
}

}  // namespace

void matmul_register_tiles(const Stream& stream, Workspace& workspace, const MatmulArgs<float>& x) {
  if (x.transpose_a)
    x.transpose_b ? multiply<true, true>(stream, workspace, x) : multiply<true, false>(stream, workspace, x);
  else
    x.transpose_b ? multiply<false, true>(stream, workspace, x)
                  : multiply<false, false>(stream, workspace, x);
}

}  // namespace rcnn::kernels
