#pragma once

#include "kernels/cases.h"
#include "kernels/elementwise/dropout.h"

namespace rcnn::kernels {

struct DropoutCase {
  int64_t count;
  float p;
};

inline std::vector<DropoutCase> dropout_cases() {
  return {{1, 0.5f}, {3001, 0.5f}, {5120, 0.3f}, {1027, 0.9f}, {64, 0}, {0, 0.5f}};
}

/// fc6 and fc7 of VGG16: the 128 RoIs of an image.
inline std::vector<DropoutCase> dropout_bench_cases() { return {{128 * 4096, 0.5f}}; }

template <class Args>
DropoutKey dropout_key(const DropoutCase& c, Prepared<Args>& p, Filler& fill) {
  const int32_t* step = fill.integers(p.inputs, {1}, 1, 100000).template data<int32_t>();
  return {.p = c.p, .seed = 0x123456789abcdefull, .step = step, .layer = 3};
}

template <class T>
Prepared<DropoutArgs<T>> prepare_dropout(const DropoutCase& c, Filler fill) {
  Prepared<DropoutArgs<T>> p;
  p.args = {.count = c.count,
            .x = fill.input<T>(p, {c.count}),
            .key = dropout_key(c, p, fill),
            .y = fill.result<T>(p, {c.count})};
  p.compare_relative(3e-7);  // 1 - p and the quotient, each rounded
  return p;
}

template <class T>
Prepared<DropoutBackwardArgs<T>> prepare_dropout_backward(const DropoutCase& c, Filler fill) {
  Prepared<DropoutBackwardArgs<T>> p;
  p.args = {.count = c.count,
            .dy = fill.input<T>(p, {c.count}),
            .key = dropout_key(c, p, fill),
            .dx = fill.gradient<T>(p, {c.count}),
            .accumulate = fill.accumulate()};
  p.compare_relative(3e-7);
  return p;
}

RCNN_OP_CASES(dropout, dropout_cases, dropout_bench_cases, prepare_dropout<T>)
RCNN_OP_CASES(dropout_backward, dropout_cases, dropout_bench_cases, prepare_dropout_backward<T>)

}  // namespace rcnn::kernels
