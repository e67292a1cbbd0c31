#include "kernels/gemm/matmul_gemm.h"

namespace rcnn::kernels {
namespace {

constexpr int kTile = 16;

/// A block of 16 x 16 threads computes 16 x 16 outputs, one per thread, in steps of 16 along the reduction.
/// In each step every thread loads one element of each factor into a tile in shared memory, so a block loads
/// each element once and uses it 16 times.
///
/// Shared memory: 2 tiles of 16 x 17 floats; the padding column puts the elements of a column of a tile
/// in different banks. Which elements a thread loads depends on how a factor lies in memory, so that
/// neighbouring threads always read neighbouring addresses. Bottleneck: shared memory, two loads for
/// each multiply-add.
__global__ void tiled_kernel(int m, int k, StridedMatrix left, StridedMatrix right, GemmOutput output) {
  RCNN_SHARED(float, left_tile, [kTile][kTile + 1]);
  RCNN_SHARED(float, right_tile, [kTile][kTile + 1]);
  const int n = output.columns, tx = static_cast<int>(threadIdx.x), ty = static_cast<int>(threadIdx.y);
  const int first_row = static_cast<int>(blockIdx.x) * kTile;
  const int first_column = static_cast<int>(blockIdx.y) * kTile;
  // The elements that this thread loads: (row, i) of the left factor and (j, column) of the right one.
  const int row = left.column_stride == 1 ? ty : tx, i = left.column_stride == 1 ? tx : ty;
  const int column = right.column_stride == 1 ? tx : ty, j = right.column_stride == 1 ? ty : tx;
  const bool row_exists = first_row + row < m, column_exists = first_column + column < n;

  float sum = 0;
  for (int begin = 0; begin < k; begin += kTile) {
    left_tile[row][i] = row_exists && begin + i < k ? left.at(first_row + row, begin + i) : 0.0f;
    right_tile[j][column] =
        column_exists && begin + j < k ? right.at(begin + j, first_column + column) : 0.0f;
    __syncthreads();
    RCNN_UNROLL
    for (int d = 0; d < kTile; ++d) sum = fmaf(left_tile[ty][d], right_tile[d][tx], sum);
    __syncthreads();
  }
  if (first_row + ty < m && first_column + tx < n) write<1>(output, first_row + ty, first_column + tx, {sum});
}

}  // namespace

void matmul_tiled(const Stream& stream, Workspace&, const MatmulArgs<float>& x) {
  const MatmulDims p = matmul_dims(x);
  launch<tiled_kernel>(stream, dim3(blocks_for(p.m, kTile), blocks_for(p.n, kTile)), dim3(kTile, kTile), 0,
                       p.m, p.k, left_of(p, x), right_of(p, x), output_of(p, x));
}

}  // namespace rcnn::kernels
