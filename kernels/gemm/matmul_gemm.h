// What the CUDA variants of the matrix product share.
#pragma once

#include "core/error.h"
#include "kernels/gemm/gemm_output.h"
#include "kernels/gemm/matmul.h"

namespace rcnn::kernels {

/// Throws Error unless every offset in the three matrices fits an int.
inline void check_matmul_sizes(const MatmulArgs<float>& x) {
  const int64_t largest = std::max({x.m * x.k, x.k * x.n, x.m * x.n});
  check(
      largest < int64_t{1} << 31,
      "a matrix product ({}, {}) by ({}, {}) on CUDA: a matrix has {} elements, but they must be fewer than "
      "2^31",
      x.m, x.k, x.k, x.n, largest);
}

inline GemmOutput output_of(const MatmulArgs<float>& x) {
  GemmOutput o{.out = x.c, .columns = static_cast<int>(x.n)};
  o.bias = x.bias, o.relu = x.relu, o.accumulate = x.accumulate;
  return o.with_vectors();
}

/// Whether float4 can be read along the rows that both factors have in memory.
inline bool vectors_in(const MatmulArgs<float>& x) {
  return (x.transpose_a ? x.m : x.k) % 4 == 0 && (x.transpose_b ? x.k : x.n) % 4 == 0 && aligned_to_16(x.a) &&
         aligned_to_16(x.b);
}

/// An M x K or K x N factor as it lies in memory: element (i, j) is data[i * row_stride + j * column_stride].
struct StridedMatrix {
  const float* data;
  int row_stride, column_stride;

  __device__ float at(int row, int column) const { return data[row * row_stride + column * column_stride]; }
};

inline StridedMatrix left_of(const MatmulArgs<float>& x) {
  return x.transpose_a ? StridedMatrix{x.a, 1, static_cast<int>(x.m)}
                       : StridedMatrix{x.a, static_cast<int>(x.k), 1};
}
inline StridedMatrix right_of(const MatmulArgs<float>& x) {
  return x.transpose_b ? StridedMatrix{x.b, 1, static_cast<int>(x.k)}
                       : StridedMatrix{x.b, static_cast<int>(x.n), 1};
}

}  // namespace rcnn::kernels
