#pragma once

#include "kernels/cases.h"
#include "kernels/norm/scale_shift.h"

namespace rcnn::kernels {

struct ScaleShiftCase {
  int64_t rows, c;
  bool residual = false, relu = false;
};

inline std::vector<ScaleShiftCase> scale_shift_cases() {
  return {{7, 3},
          {129, 16, false, true},
          {61, 5, true, true},
          {20011, 2, true, false},
          {301, 12, true, true},
          {0, 4, true, true}};
}

/// nano-fpn's stem and C2 at 4 x 240 x 320, and C2 of a ResNet-50 at 800 x 1344.
inline std::vector<ScaleShiftCase> scale_shift_bench_cases() {
  return {{4 * 120 * 160, 16, false, true}, {4 * 60 * 80, 32, true, true}, {200 * 336, 256, true, true}};
}

template <class T>
Prepared<ScaleShiftArgs<T>> prepare_scale_shift(const ScaleShiftCase& c, Filler fill) {
  Prepared<ScaleShiftArgs<T>> p;
  const Shape shape{c.rows, c.c};
  p.args.rows = c.rows;
  p.args.c = c.c;
  p.args.x = fill.numbers<T>(p.inputs, shape).template data<T>();
  p.args.scale = fill.numbers<T>(p.inputs, {c.c}).template data<T>();
  p.args.shift = fill.numbers<T>(p.inputs, {c.c}).template data<T>();
  if (c.residual) p.args.residual = fill.numbers<T>(p.inputs, shape).template data<T>();
  p.args.relu = c.relu;
  p.args.y = fill.poisoned<T>(p.outputs, shape).template mutable_data<T>();
  p.match = Match::sum;
  p.terms = 3;
  return p;
}

template <class T>
Prepared<ScaleShiftBackwardArgs<T>> prepare_scale_shift_backward(const ScaleShiftCase& c, Filler fill) {
  Prepared<ScaleShiftBackwardArgs<T>> p;
  const Shape shape{c.rows, c.c};
  p.args.rows = c.rows;
  p.args.c = c.c;
  p.args.scale = fill.numbers<T>(p.inputs, {c.c}).template data<T>();
  // The sign of y decides which terms there are, so it must not follow the fill.
  if (c.relu) p.args.y = fill.uniform<T>(p.inputs, shape, -1, 1).template data<T>();
  p.args.dy = fill.numbers<T>(p.inputs, shape).template data<T>();
  p.args.relu = c.relu;
  p.args.dx = fill.output<T>(p.outputs, shape).template mutable_data<T>();
  if (c.residual) p.args.dresidual = fill.output<T>(p.outputs, shape).template mutable_data<T>();
  p.args.accumulate = p.args.accumulate_residual = fill.accumulate();
  p.match = Match::sum;
  p.terms = 2;
  return p;
}

RCNN_OP_CASES(scale_shift, scale_shift_cases, scale_shift_bench_cases, prepare_scale_shift<T>)
RCNN_OP_CASES(scale_shift_backward, scale_shift_cases, scale_shift_bench_cases,
              prepare_scale_shift_backward<T>)

}  // namespace rcnn::kernels
