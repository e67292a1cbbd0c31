#pragma once

#include "kernels/cases.h"
#include "kernels/gemm/epilogue.h"

namespace rcnn::kernels {

struct EpilogueCase {
  int64_t rows, c;
  bool relu = false, scale = false, dz = false, residual = false, bias = false;
};

inline std::vector<EpilogueCase> epilogue_cases() {
  return {
      {5, 3, false, false, false, false, true},
      {37, 16, true, false, true, false, true},
      {29, 7, true, true, true, true, true},
      {20000, 5, true, false, true, true, true},  // several chunks
      {11, 1, false, true, true},
      {0, 4, true, false, true, false, true},   // no rows: dbias is 0
      {3, 1030, true, true, true, true, true},  // more channels than threads in a CUDA block
      {900, 68, true, true, true, true, true},  // vectors of 4, several blocks along the rows
  };
}

/// A pyramid level of nano-fpn at 4 x 240 x 320, and one of R50-FPN at 800 x 1344.
inline std::vector<EpilogueCase> epilogue_bench_cases() {
  return {{4 * 60 * 80, 32, true, false, true, false, true},
          {200 * 336, 256, true, false, true, false, true}};
}

RCNN_CASE_FIELDS(EpilogueCase, rows, c, relu, scale, dz, residual, bias)

template <class T>
EpilogueCase case_of(const EpilogueBackwardArgs<T>& a, ArgumentReader&) {
  return {a.rows,
          a.c,
          a.y != nullptr,
          a.scale != nullptr,
          a.dz != nullptr || a.packed_dz != nullptr,
          a.dresidual != nullptr,
          a.dbias != nullptr};
}

template <class T>
Prepared<EpilogueBackwardArgs<T>> prepare_epilogue_backward(const EpilogueCase& c, Filler fill) {
  Prepared<EpilogueBackwardArgs<T>> p;
  const Shape shape{c.rows, c.c};
  p.args = {};
  p.args.rows = c.rows;
  p.args.c = c.c;
  // The sign of y decides which terms exist, so y must not depend on the fill.
  if (c.relu) p.args.y = fill.uniform<T>(p.inputs, shape, -1, 1).template data<T>();
  p.args.dy = fill.numbers<T>(p.inputs, shape).template data<T>();
  if (c.scale) p.args.scale = fill.numbers<T>(p.inputs, {c.c}).template data<T>();
  if (c.dz) p.args.dz = fill.poisoned<T>(p.outputs, shape).template mutable_data<T>();
  if (c.residual) p.args.dresidual = fill.output<T>(p.outputs, shape).template mutable_data<T>();
  if (c.bias) p.args.dbias = fill.output<T>(p.outputs, {c.c}).template mutable_data<T>();
  p.args.accumulate_residual = p.args.accumulate_bias = fill.accumulate();
  p.match = Match::sum;
  p.terms = c.rows;
  return p;
}

RCNN_OP_CASES(epilogue_backward, epilogue_cases, epilogue_bench_cases, prepare_epilogue_backward<T>)

}  // namespace rcnn::kernels
