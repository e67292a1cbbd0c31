#pragma once

#include "kernels/cases.h"
#include "kernels/gemm/matmul.h"

namespace rcnn::kernels {

struct MatmulCase {
  int64_t m, n, k;
  bool transpose_a = false, transpose_b = false, bias = false, relu = false;
};

inline std::vector<MatmulCase> matmul_cases() {
  return {
      {4, 5, 6},
      {17, 13, 31, false, true, true, true},
      {7, 29, 11, true, false},
      {5, 3, 2, true, true},
      {64, 4, 256, false, true, true},
      {1, 1, 1, false, true, false, true},
      {0, 4, 3, false, true, true},  // no rows
      {3, 4, 0, true, false},        // an empty sum: zero
      // Edge cases of the CUDA variants: more than one tile of 128 rows or columns, vectors and scalars, sums
      // that are split into parts.
      {68, 72, 132, false, true, true, true},
      {68, 72, 20},
      {72, 68, 20, true, false, true},
      {72, 68, 20, true, true},
      {130, 12, 40, true, false, true, true},
      {12, 131, 70, false, true, true, true},
      {131, 67, 9},
  };
}

/// The head of nano-fpn with 4 x 64 RoIs (forward and both gradients), fc6 of R50-FPN and of VGG16 in
/// detection, and of VGG16 in training (forward and both gradients).
inline std::vector<MatmulCase> matmul_bench_cases() {
  return {{256, 256, 800, false, true, true, true},
          {256, 800, 256},
          {256, 800, 256, true, false},
          {256, 16, 256, false, true, true},
          {1000, 1024, 12544, false, true, true, true},
          {300, 4096, 25088, false, true, true, true},
          {128, 4096, 25088, false, true, true, true},
          {128, 25088, 4096},
          {4096, 25088, 128, true, false}};
}

RCNN_CASE_FIELDS(MatmulCase, m, n, k, transpose_a, transpose_b, bias, relu)

template <class T>
MatmulCase case_of(const MatmulArgs<T>& a, ArgumentReader&) {
  return {a.m, a.n, a.k, a.transpose_a, a.transpose_b, a.bias != nullptr, a.relu};
}

template <class T>
Prepared<MatmulArgs<T>> prepare_matmul(const MatmulCase& c, Filler fill) {
  Prepared<MatmulArgs<T>> p;
  const Tensor a = fill.numbers<T>(p.inputs, c.transpose_a ? Shape{c.k, c.m} : Shape{c.m, c.k});
  const Tensor b = fill.numbers<T>(p.inputs, c.transpose_b ? Shape{c.n, c.k} : Shape{c.k, c.n});
  // The epilogue and accumulation exclude each other.
  const bool accumulated = fill.accumulate() == Accumulate::yes;
  const T* bias = c.bias && !accumulated ? fill.numbers<T>(p.inputs, {c.n}).template data<T>() : nullptr;
  const Tensor out = fill.output<T>(p.outputs, {c.m, c.n});
  p.args = {.m = c.m,
            .n = c.n,
            .k = c.k,
            .transpose_a = c.transpose_a,
            .transpose_b = c.transpose_b,
            .a = a.data<T>(),
            .b = b.data<T>(),
            .bias = bias,
            .relu = c.relu && !accumulated,
            .c = out.mutable_data<T>(),
            .accumulate = fill.accumulate()};
  p.match = Match::sum;
  p.terms = c.k;
  p.flop = 2.0 * static_cast<double>(c.m * c.n) * static_cast<double>(c.k);
  return p;
}

RCNN_OP_CASES(matmul, matmul_cases, matmul_bench_cases, prepare_matmul<T>)

}  // namespace rcnn::kernels
