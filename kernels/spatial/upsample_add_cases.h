#pragma once

#include "kernels/cases.h"
#include "kernels/spatial/upsample_add.h"

namespace rcnn::kernels {

struct UpsampleAddCase {
  int64_t n, h, w, c, th, tw;
};

inline std::vector<UpsampleAddCase> upsample_add_cases() {
  return {
      {1, 4, 6, 3, 2, 3},   {2, 7, 5, 4, 4, 3},  // odd sizes: 7 rows from 4
      {1, 13, 17, 1, 7, 9}, {2, 3, 3, 5, 3, 3},  // no upsampling at all
      {1, 6, 8, 2, 2, 1},                        // by 3 and by 8
      {1, 9, 14, 12, 5, 7},                      // several blocks of threads
      {0, 4, 4, 2, 2, 2},                        // empty
  };
}

/// The largest step of nano-fpn's pyramid at 4 x 240 x 320, and of a ResNet-50 FPN at 800 x 1344.
inline std::vector<UpsampleAddCase> upsample_add_bench_cases() {
  return {{4, 60, 80, 32, 30, 40}, {1, 200, 336, 256, 100, 168}};
}

RCNN_CASE_FIELDS(UpsampleAddCase, n, h, w, c, th, tw)

template <class T>
UpsampleAddCase case_of(const UpsampleAddArgs<T>& a, ArgumentReader&) {
  return {a.n, a.h, a.w, a.c, a.th, a.tw};
}
template <class T>
UpsampleAddCase case_of(const UpsampleAddBackwardArgs<T>& a, ArgumentReader&) {
  return {a.n, a.h, a.w, a.c, a.th, a.tw};
}

template <class T>
Prepared<UpsampleAddArgs<T>> prepare_upsample_add(const UpsampleAddCase& c, Filler fill) {
  Prepared<UpsampleAddArgs<T>> p;
  const Tensor lateral = fill.numbers<T>(p.inputs, {c.n, c.h, c.w, c.c});
  p.args = {.n = c.n,
            .h = c.h,
            .w = c.w,
            .c = c.c,
            .th = c.th,
            .tw = c.tw,
            .lateral = lateral.data<T>(),
            .top = fill.input<T>(p, {c.n, c.th, c.tw, c.c}),
            .y = fill.result<T>(p, lateral.shape())};
  p.compare_sum(2);
  return p;
}

template <class T>
Prepared<UpsampleAddBackwardArgs<T>> prepare_upsample_add_backward(const UpsampleAddCase& c, Filler fill) {
  Prepared<UpsampleAddBackwardArgs<T>> p;
  p.args = {.n = c.n,
            .h = c.h,
            .w = c.w,
            .c = c.c,
            .th = c.th,
            .tw = c.tw,
            .dy = fill.input<T>(p, {c.n, c.h, c.w, c.c}),
            .dtop = fill.gradient<T>(p, {c.n, c.th, c.tw, c.c}),
            .accumulate = fill.accumulate()};
  p.compare_sum((c.h / c.th + 1) * (c.w / c.tw + 1));
  return p;
}

RCNN_OP_CASES(upsample_add, upsample_add_cases, upsample_add_bench_cases, prepare_upsample_add<T>)
RCNN_OP_CASES(upsample_add_backward, upsample_add_cases, upsample_add_bench_cases,
              prepare_upsample_add_backward<T>)

}  // namespace rcnn::kernels
