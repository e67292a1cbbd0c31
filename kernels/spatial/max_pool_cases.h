#pragma once

#include "kernels/cases.h"
#include "kernels/spatial/max_pool.h"

namespace rcnn::kernels {

struct MaxPoolCase {
  int64_t n, h, w, c;
  int kernel, stride, pad;
  bool ceil_mode = false;
};

inline std::vector<MaxPoolCase> max_pool_cases() {
  return {
      {2, 7, 11, 5, 3, 2, 1},      {1, 4, 6, 67, 2, 2, 0},  // channels over several blocks
      {1, 37, 5, 3, 3, 2, 1},      {2, 35, 3, 2, 4, 1, 2},  // rows over several bands
      {2, 5, 7, 3, 1, 2, 0},                                // the layer that makes P6 from P5
      {1, 13, 17, 2, 5, 1, 2},     {1, 9, 10, 3, 2, 3, 1},  // gaps between windows
      {2, 9, 11, 12, 3, 2, 1},     {1, 5, 7, 4, 5, 1, 2},   // a multiple of four channels
      {1, 3, 3, 2, 3, 1, 1},       {0, 4, 4, 2, 2, 2, 0},   // no images
      {2, 7, 5, 3, 2, 2, 0, true}, {1, 1, 6, 4, 2, 2, 0, true}, {1, 8, 9, 5, 3, 2, 1, true},
  };
}

/// The max pooling of a ResNet-50's stem at 800 x 1344, and the first and third of VGG16 at 600 x 1000.
inline std::vector<MaxPoolCase> max_pool_bench_cases() {
  return {{1, 400, 672, 64, 3, 2, 1}, {1, 600, 1000, 64, 2, 2, 0}, {1, 150, 250, 256, 2, 2, 0}};
}

RCNN_CASE_FIELDS(MaxPoolCase, n, h, w, c, kernel, stride, pad, ceil_mode)

template <class Args>
MaxPoolCase max_pool_case(const Args& a) {
  const auto rounds_down = [&](int64_t size, int64_t out) {
    return max_pool_size(size, a.kernel, a.stride, a.pad, false) == out;
  };
  return {a.n,
          a.h,
          a.w,
          a.c,
          static_cast<int>(a.kernel),
          static_cast<int>(a.stride),
          static_cast<int>(a.pad),
          !(rounds_down(a.h, a.oh) && rounds_down(a.w, a.ow))};
}
template <class T>
MaxPoolCase case_of(const MaxPoolArgs<T>& a, ArgumentReader&) {
  return max_pool_case(a);
}
template <class T>
MaxPoolCase case_of(const MaxPoolBackwardArgs<T>& a, ArgumentReader&) {
  return max_pool_case(a);
}

template <class T>
Prepared<MaxPoolArgs<T>> prepare_max_pool(const MaxPoolCase& c, Filler fill) {
  Prepared<MaxPoolArgs<T>> p;
  const int64_t oh = max_pool_size(c.h, c.kernel, c.stride, c.pad, c.ceil_mode),
                ow = max_pool_size(c.w, c.kernel, c.stride, c.pad, c.ceil_mode);
  p.args = {.n = c.n,
            .h = c.h,
            .w = c.w,
            .c = c.c,
            .oh = oh,
            .ow = ow,
            .kernel = c.kernel,
            .stride = c.stride,
            .pad = c.pad,
            .x = fill.input<T>(p, {c.n, c.h, c.w, c.c}),
            .y = fill.result<T>(p, {c.n, oh, ow, c.c})};
  return p;
}

template <class T>
Prepared<MaxPoolBackwardArgs<T>> prepare_max_pool_backward(const MaxPoolCase& c, Filler fill) {
  Prepared<MaxPoolBackwardArgs<T>> p;
  const int64_t oh = max_pool_size(c.h, c.kernel, c.stride, c.pad, c.ceil_mode),
                ow = max_pool_size(c.w, c.kernel, c.stride, c.pad, c.ceil_mode);
  // x does not depend on the fill, or the magnitudes would go to other pixels. Whole numbers make ties.
  const Tensor x = fill.uniform<T>(p.inputs, {c.n, c.h, c.w, c.c}, 0, 6);
  for (T& value : x.mutable_values<T>()) value = std::floor(value);
  p.args = {.n = c.n,
            .h = c.h,
            .w = c.w,
            .c = c.c,
            .oh = oh,
            .ow = ow,
            .kernel = c.kernel,
            .stride = c.stride,
            .pad = c.pad,
            .x = x.data<T>(),
            .dy = fill.input<T>(p, {c.n, oh, ow, c.c}),
            .dx = fill.gradient<T>(p, x.shape()),
            .accumulate = fill.accumulate()};
  p.compare_sum(c.kernel * c.kernel);
  return p;
}

RCNN_OP_CASES(max_pool, max_pool_cases, max_pool_bench_cases, prepare_max_pool<T>)
RCNN_OP_CASES(max_pool_backward, max_pool_cases, max_pool_bench_cases, prepare_max_pool_backward<T>)

}  // namespace rcnn::kernels
