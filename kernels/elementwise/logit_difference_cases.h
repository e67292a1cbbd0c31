#pragma once

#include "kernels/cases.h"
#include "kernels/elementwise/logit_difference.h"

namespace rcnn::kernels {

struct LogitDifferenceCase {
  int64_t rows, a;
};

inline std::vector<LogitDifferenceCase> logit_difference_cases() {
  return {{1, 1}, {37, 9}, {101, 12}, {2, 300}, {0, 9}, {5, 0}};
}

/// The map of VGG16 at 600 x 1000, with nine anchors per cell.
inline std::vector<LogitDifferenceCase> logit_difference_bench_cases() { return {{38 * 63, 9}}; }

RCNN_CASE_FIELDS(LogitDifferenceCase, rows, a)

template <class T>
LogitDifferenceCase case_of(const LogitDifferenceArgs<T>& a, ArgumentReader&) {
  return {a.rows, a.a};
}
template <class T>
LogitDifferenceCase case_of(const LogitDifferenceBackwardArgs<T>& a, ArgumentReader&) {
  return {a.rows, a.a};
}

template <class T>
Prepared<LogitDifferenceArgs<T>> prepare_logit_difference(const LogitDifferenceCase& c, Filler fill) {
  Prepared<LogitDifferenceArgs<T>> p;
  const Tensor x = fill.numbers<T>(p.inputs, {c.rows, 2 * c.a});
  // The bound on the error is |object| + |background|, so the magnitudes of background are negated.
  if (fill.fill() == Fill::magnitudes)
    for (int64_t row = 0; row < c.rows; ++row)
      for (int64_t i = 0; i < c.a; ++i) x.mutable_data<T>()[row * 2 * c.a + i] *= T(-1);
  p.args = {.rows = c.rows, .a = c.a, .x = x.data<T>(), .y = fill.result<T>(p, {c.rows, c.a})};
  p.compare_sum(2);
  return p;
}

template <class T>
Prepared<LogitDifferenceBackwardArgs<T>> prepare_logit_difference_backward(const LogitDifferenceCase& c,
                                                                           Filler fill) {
  Prepared<LogitDifferenceBackwardArgs<T>> p;
  p.args = {.rows = c.rows,
            .a = c.a,
            .dy = fill.input<T>(p, {c.rows, c.a}),
            .dx = fill.gradient<T>(p, {c.rows, 2 * c.a}),
            .accumulate = fill.accumulate()};
  p.compare_relative(2e-7);
  return p;
}

RCNN_OP_CASES(logit_difference, logit_difference_cases, logit_difference_bench_cases,
              prepare_logit_difference<T>)
RCNN_OP_CASES(logit_difference_backward, logit_difference_cases, logit_difference_bench_cases,
              prepare_logit_difference_backward<T>)

}  // namespace rcnn::kernels
