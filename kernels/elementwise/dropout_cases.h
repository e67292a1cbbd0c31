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

inline DropoutKey prepare_dropout_key(const DropoutCase& c, std::vector<Tensor>& inputs, Filler& fill) {
  return {c.p, 0x123456789abcdefull, fill.integers(inputs, {1}, 1, 100000).data<int32_t>(), 3};
}

template <class T>
Prepared<DropoutArgs<T>> prepare_dropout(const DropoutCase& c, Filler fill) {
  Prepared<DropoutArgs<T>> p;
  const Tensor x = fill.numbers<T>(p.inputs, {c.count});
  const DropoutKey key = prepare_dropout_key(c, p.inputs, fill);
  const Tensor y = fill.poisoned<T>(p.outputs, {c.count});
  p.args = {.count = c.count, .x = x.data<T>(), .key = key, .y = y.mutable_data<T>()};
  p.match = Match::relative;
  p.tolerance = 3e-7;  // 1 - p and the quotient, each rounded
  return p;
}

template <class T>
Prepared<DropoutBackwardArgs<T>> prepare_dropout_backward(const DropoutCase& c, Filler fill) {
  Prepared<DropoutBackwardArgs<T>> p;
  const Tensor dy = fill.numbers<T>(p.inputs, {c.count});
  const DropoutKey key = prepare_dropout_key(c, p.inputs, fill);
  const Tensor dx = fill.output<T>(p.outputs, {c.count});
  p.args = {.count = c.count,
            .dy = dy.data<T>(),
            .key = key,
            .dx = dx.mutable_data<T>(),
            .accumulate = fill.accumulate()};
  p.match = Match::relative;
  p.tolerance = 3e-7;
  return p;
}

RCNN_OP_CASES(dropout, dropout_cases, dropout_bench_cases, prepare_dropout<T>)
RCNN_OP_CASES(dropout_backward, dropout_cases, dropout_bench_cases, prepare_dropout_backward<T>)

}  // namespace rcnn::kernels
