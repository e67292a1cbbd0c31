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

RCNN_CASE_FIELDS(DropoutCase, count, p)

template <class T>
DropoutCase case_of(const DropoutArgs<T>& a, ArgumentReader&) {
  return {a.count, a.key.p};
}

template <class T>
Prepared<DropoutArgs<T>> prepare_dropout(const DropoutCase& c, Filler fill) {
  Prepared<DropoutArgs<T>> p;
  const int32_t* step = fill.integers(p.inputs, {1}, 1, 100000).template data<int32_t>();
  p.args = {.count = c.count,
            .x = fill.input<T>(p, {c.count}),
            .key = {.p = c.p, .seed = 0x123456789abcdefull, .step = step, .layer = 3},
            .y = fill.gradient<T>(p, {c.count}),
            .accumulate = fill.accumulate()};
  p.compare_relative(3e-7);  // 1 - p and the quotient, each rounded
  return p;
}

RCNN_OP_CASES(dropout, dropout_cases, dropout_bench_cases, prepare_dropout<T>)

}  // namespace rcnn::kernels
