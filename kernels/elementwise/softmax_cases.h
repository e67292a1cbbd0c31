#pragma once

#include "kernels/cases.h"
#include "kernels/elementwise/softmax.h"

namespace rcnn::kernels {

struct SoftmaxCase {
  int64_t rows, c;
};

inline std::vector<SoftmaxCase> softmax_cases() { return {{7, 5}, {131, 21}, {37, 91}, {3, 1}, {0, 4}}; }

/// The RoI head of nano-fpn in detection (4 images, 7 classes), and of R50-FPN (1000 proposals, 91 classes).
inline std::vector<SoftmaxCase> softmax_bench_cases() { return {{4 * 200, 7}, {1000, 91}}; }

RCNN_CASE_FIELDS(SoftmaxCase, rows, c)

template <class T>
SoftmaxCase case_of(const SoftmaxArgs<T>& a, ArgumentReader&) {
  return {a.rows, a.c};
}

template <class T>
Prepared<SoftmaxArgs<T>> prepare_softmax(const SoftmaxCase& c, Filler fill) {
  Prepared<SoftmaxArgs<T>> p;
  p.args = {.rows = c.rows,
            .c = c.c,
            .logits = fill.input<T>(p, {c.rows, c.c}),
            .probabilities = fill.result<T>(p, {c.rows, c.c})};
  p.compare_relative(1e-6);
  return p;
}

RCNN_OP_CASES(softmax, softmax_cases, softmax_bench_cases, prepare_softmax<T>)

}  // namespace rcnn::kernels
