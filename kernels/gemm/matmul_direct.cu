#include "kernels/gemm/matmul_gemm.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;

/// One thread per output: thread = row * N + column. Neighbouring threads share a row of the left factor and
/// read neighbouring columns of the right one (if it is transposed, addresses K apart). Bottleneck: the
/// loads, two for each multiply-add.
__global__ void direct_kernel(int m, int k, StridedMatrix left, StridedMatrix right, GemmOutput output) {
  const int thread = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  const int row = thread / output.columns, column = thread % output.columns;
  if (row >= m) return;
  float sum = 0;
  for (int i = 0; i < k; ++i) sum = fmaf(left.at(row, i), right.at(i, column), sum);
  write<1>(output, row, column, {sum});
}

}  // namespace

void matmul_direct(const Stream& stream, Workspace&, const MatmulArgs<float>& x) {
  const MatmulDims p = matmul_dims(x);
  launch<direct_kernel>(stream, blocks_for(p.m * p.n, kThreads), kThreads, 0, p.m, p.k, left_of(p, x),
                        right_of(p, x), output_of(p, x));
}

}  // namespace rcnn::kernels
