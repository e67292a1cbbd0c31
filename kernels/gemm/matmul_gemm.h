// What the CUDA variants of the matrix product share.
#pragma once

#include "core/error.h"
#include "kernels/gemm/gemm_output.h"
#include "kernels/gemm/matmul.h"

namespace rcnn::kernels {

/// The sizes of a matrix product as int, the type that the kernels calculate with.
struct MatmulDims {
  int m = 0, n = 0, k = 0;
};

/// The sizes as int. Throws Error unless every offset in the three matrices fits in an int.
inline MatmulDims matmul_dims(const MatmulArgs<float>& x) {
  const int64_t largest = std::max({x.m * x.k, x.k * x.n, x.m * x.n});
  check(largest < int64_t{1} << 31,
        "a matrix product of ({}, {}) and ({}, {}) on CUDA: a matrix has {} elements, "
        "but must have fewer than 2^31",
        x.m, x.k, x.k, x.n, largest);
  const auto fits = [](int64_t size) { return static_cast<int>(size); };
  return {.m = fits(x.m), .n = fits(x.n), .k = fits(x.k)};
}

inline GemmOutput output_of(const MatmulDims& p, const MatmulArgs<float>& x) {
  return GemmOutput{.out = x.c, .columns = p.n, .bias = x.bias, .relu = x.relu, .accumulate = x.accumulate}
      .with_vectors();
}

/// Whether the rows of both factors, as they lie in memory, can be read as float4.
inline bool vectors_in(const MatmulArgs<float>& x) {
  return four_at_a_time(x.transpose_a ? x.m : x.k, {x.a}) && four_at_a_time(x.transpose_b ? x.k : x.n, {x.b});
}

/// An M x K or K x N factor as it lies in memory: element (i, j) is data[i * row_stride + j * column_stride].
struct StridedMatrix {
  const float* data;
  int row_stride, column_stride;

  __device__ float at(int row, int column) const { return data[row * row_stride + column * column_stride]; }
};

inline StridedMatrix left_of(const MatmulDims& p, const MatmulArgs<float>& x) {
  return x.transpose_a ? StridedMatrix{x.a, 1, p.m} : StridedMatrix{x.a, p.k, 1};
}
inline StridedMatrix right_of(const MatmulDims& p, const MatmulArgs<float>& x) {
  return x.transpose_b ? StridedMatrix{x.b, 1, p.k} : StridedMatrix{x.b, p.n, 1};
}

}  // namespace rcnn::kernels
