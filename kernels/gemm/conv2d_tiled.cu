// Convolution as an implicit matrix product with shared memory: the products of kernels/gemm/conv2d_gemm.h in
// the simplest form that shares what it loads.
//
// A block of 16 x 16 threads computes 16 x 16 outputs, one per thread, in steps of 16 along the reduction. In
// each step every thread loads one element of each factor's 16 x 16 tile into shared memory; then every
// thread multiplies a row of the left tile by a column of the right one. A block loads each element from
// global memory once and uses it 16 times.
//
// Shared memory: 2 tiles of 16 x 17 floats; the padding column puts the elements of a column of a
// tile in different banks. Bottleneck: shared memory, two loads for each multiply-add. The next step
// is kernels/gemm/conv2d_implicit_gemm.cu.
#include "kernels/gemm/conv2d_gemm.h"

namespace rcnn::kernels {
namespace {

constexpr int kTile = 16;

using TileOfOperand = float[kTile][kTile + 1];

/// `sum` plus one step's share of this thread's output: row `threadIdx.y` of `left` times column
/// `threadIdx.x` of `right`.
__device__ inline float multiply_tiles(const TileOfOperand& left, const TileOfOperand& right, float sum) {
  RCNN_UNROLL
  for (int d = 0; d < kTile; ++d) sum = fmaf(left[threadIdx.y][d], right[d][threadIdx.x], sum);
  return sum;
}

__device__ inline float patch_value(const Patches& patches, const float* image, const PatchRow& row,
                                    const PatchTap& tap) {
  return patches.inside(row, tap) ? image[row.offset + tap.offset] : 0.0f;
}

// In all three kernels (tx, ty) is the place of the thread in the tile and (row, column) its output;
// blockIdx.x counts tiles along the rows, blockIdx.y along the columns.

/// left[ty][d] = patch of x (row, d), right[d][tx] = w[column][d].
__global__ void forward_kernel(Patches patches, const float* x, const float* w, GemmOutput output) {
  RCNN_SHARED(float, left, [kTile][kTile + 1]);
  RCNN_SHARED(float, right, [kTile][kTile + 1]);
  const int tx = static_cast<int>(threadIdx.x), ty = static_cast<int>(threadIdx.y);
  const int row = static_cast<int>(blockIdx.x) * kTile + ty,
            column = static_cast<int>(blockIdx.y) * kTile + tx;
  const int depth = patches.depth();
  const PatchRow position = patches.row(row);
  const int filter = static_cast<int>(blockIdx.y) * kTile + ty;  // that this thread loads
  float sum = 0;
  for (int begin = 0; begin < depth; begin += kTile) {
    left[ty][tx] = patch_value(patches, x, position, patches.tap(begin + tx));
    right[tx][ty] = filter < output.columns && begin + tx < depth ? w[filter * depth + begin + tx] : 0.0f;
    __syncthreads();
    sum = multiply_tiles(left, right, sum);
    __syncthreads();
  }
  if (row < patches.rows() && column < output.columns) write<1>(output, row, column, {sum});
}

/// For phase blockIdx.z: left[ty][d] = patch of g (row, d), right[d][tx] = w[k, r, s, column], where
/// d is (tap, k).
__global__ void dx_kernel(ConvDims dims, const float* g, const float* w, GemmOutput output) {
  RCNN_SHARED(float, left, [kTile][kTile + 1]);
  RCNN_SHARED(float, right, [kTile][kTile + 1]);
  const int tx = static_cast<int>(threadIdx.x), ty = static_cast<int>(threadIdx.y);
  const int row = static_cast<int>(blockIdx.x) * kTile + ty,
            column = static_cast<int>(blockIdx.y) * kTile + tx;
  const Patches patches = patches_of_g(dims, static_cast<int>(blockIdx.z));
  const int depth = patches.depth();
  const PatchRow position = patches.row(row);
  float sum = 0;
  for (int begin = 0; begin < depth; begin += kTile) {
    left[ty][tx] = patch_value(patches, g, position, patches.tap(begin + tx));
    const bool exists = column < output.columns && begin + ty < depth;
    right[ty][tx] = exists ? w[patches.filter_offset(begin + ty, output.columns) + column] : 0.0f;
    __syncthreads();
    sum = multiply_tiles(left, right, sum);
    __syncthreads();
  }
  if (row < patches.rows() && column < output.columns)
    write<1>(output, patches.output_row(row), column, {sum});
}

/// left[ty][d] = g[position d, row], right[d][tx] = patch of x (position d, column). The rows are the
/// `filters` filters.
__global__ void dw_kernel(Patches patches, int filters, const float* x, const float* g, GemmOutput output) {
  RCNN_SHARED(float, left, [kTile][kTile + 1]);
  RCNN_SHARED(float, right, [kTile][kTile + 1]);
  const int tx = static_cast<int>(threadIdx.x), ty = static_cast<int>(threadIdx.y);
  const int row = static_cast<int>(blockIdx.x) * kTile + ty,
            column = static_cast<int>(blockIdx.y) * kTile + tx;
  const int positions = patches.rows();
  const PatchTap tap = patches.tap(column);
  const int filter = static_cast<int>(blockIdx.x) * kTile + tx;  // that this thread loads
  float sum = 0;
  for (int begin = 0; begin < positions; begin += kTile) {
    const bool exists = filter < filters && begin + ty < positions;
    left[tx][ty] = exists ? g[(begin + ty) * filters + filter] : 0.0f;
    right[ty][tx] = patch_value(patches, x, patches.row(begin + ty), tap);
    __syncthreads();
    sum = multiply_tiles(left, right, sum);
    __syncthreads();
  }
  if (row < filters && column < output.columns) write<1>(output, row, column, {sum});
}

const dim3 kBlock(kTile, kTile);

}  // namespace

void conv2d_tiled(const Stream& stream, Workspace&, const Conv2dArgs<float>& a) {
  const ConvDims p = conv_dims(a.shape);
  const Patches patches = patches_of_x(p);
  const dim3 grid(blocks_for(patches.rows(), kTile), blocks_for(p.k, kTile));
  launch<forward_kernel>(stream, grid, kBlock, 0, patches, a.x, a.w, output_of(p, a));
}

void conv2d_dx_tiled(const Stream& stream, Workspace&, const Conv2dDxArgs<float>& a) {
  const ConvDims p = conv_dims(a.shape);
  const int rows = patches_of_g(p, 0).rows();  // the largest phase
  const dim3 grid(blocks_for(rows, kTile), blocks_for(p.c, kTile), dx_phases(p));
  launch<dx_kernel>(stream, grid, kBlock, 0, p, a.g, a.w, output_of(p, a));
}

void conv2d_dw_tiled(const Stream& stream, Workspace&, const Conv2dDwArgs<float>& a) {
  const ConvDims p = conv_dims(a.shape);
  const GemmOutput output = output_of(p, a);
  const dim3 grid(blocks_for(p.k, kTile), blocks_for(output.columns, kTile));
  launch<dw_kernel>(stream, grid, kBlock, 0, patches_of_x(p), p.k, a.x, a.g, output);
}

}  // namespace rcnn::kernels
