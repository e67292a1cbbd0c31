#pragma once

#include "kernels/cases.h"
#include "kernels/spatial/average_pool.h"

namespace rcnn::kernels {

struct AveragePoolCase {
  int64_t n, p, c;
};

inline std::vector<AveragePoolCase> average_pool_cases() {
  return {{1, 1, 1}, {2, 49, 3}, {3, 7, 8}, {5, 13, 17}, {1, 9, 300}, {70, 4, 16}, {0, 4, 2}};
}

/// layer4 of a ResNet-50 on 512 RoIs.
inline std::vector<AveragePoolCase> average_pool_bench_cases() { return {{512, 49, 2048}}; }

RCNN_CASE_FIELDS(AveragePoolCase, n, p, c)

template <class T>
AveragePoolCase case_of(const AveragePoolArgs<T>& a, ArgumentReader&) {
  return {a.n, a.p, a.c};
}
template <class T>
AveragePoolCase case_of(const AveragePoolBackwardArgs<T>& a, ArgumentReader&) {
  return {a.n, a.p, a.c};
}

template <class T>
Prepared<AveragePoolArgs<T>> prepare_average_pool(const AveragePoolCase& c, Filler fill) {
  Prepared<AveragePoolArgs<T>> p;
  p.args = {.n = c.n,
            .p = c.p,
            .c = c.c,
            .x = fill.input<T>(p, {c.n, c.p, c.c}),
            .y = fill.result<T>(p, {c.n, c.c})};
  p.match = Match::relative;  // the factor 1 / P is not exact, even on small integers
  p.tolerance = 1e-6;
  return p;
}

template <class T>
Prepared<AveragePoolBackwardArgs<T>> prepare_average_pool_backward(const AveragePoolCase& c, Filler fill) {
  Prepared<AveragePoolBackwardArgs<T>> p;
  p.args = {.n = c.n,
            .p = c.p,
            .c = c.c,
            .dy = fill.input<T>(p, {c.n, c.c}),
            .dx = fill.gradient<T>(p, {c.n, c.p, c.c}),
            .accumulate = fill.accumulate()};
  p.compare_relative(1e-6);
  return p;
}

RCNN_OP_CASES(average_pool, average_pool_cases, average_pool_bench_cases, prepare_average_pool<T>)
RCNN_OP_CASES(average_pool_backward, average_pool_cases, average_pool_bench_cases,
              prepare_average_pool_backward<T>)

}  // namespace rcnn::kernels
