// Max pooling over square windows.
//
//     y[n, i, j, c] = max over a, b in [0, kernel) of x[n, i stride - pad + a, j stride - pad + b, c]
//
// Positions outside x are ignored. A NaN in a window makes its output NaN.
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

/// The number of windows along an axis of `size` pixels: those that lie entirely on the axis and its
/// padding. With `ceil_mode` (PyTorch's name; Caffe always does this) one more window may begin before the
/// padding at the end and reach beyond it.
inline int64_t max_pool_size(int64_t size, int kernel, int stride, int pad, bool ceil_mode = false) {
  const int64_t room = size + 2 * pad - kernel;
  if (!ceil_mode) return room < 0 ? 0 : room / stride + 1;
  const int64_t windows = (room + stride - 1) / stride + 1;
  return (windows - 1) * stride >= size + pad ? windows - 1 : windows;
}

template <class T>
struct MaxPoolArgs {
  int64_t n = 0, h = 0, w = 0, c = 0;   // of x
  int64_t oh = 0, ow = 0;               // max_pool_size of h and w
  int kernel = 1, stride = 1, pad = 0;  // pad is at most kernel / 2, so that no window lies outside x
  const T* x = nullptr;                 // (N, H, W, C)
  T* y = nullptr;                       // (N, OH, OW, C)
};

/// Backward: each value of dy is added to the first maximum of its window, in row-major order. The maximum
/// is searched for in x again.
template <class T>
struct MaxPoolBackwardArgs {
  int64_t n = 0, h = 0, w = 0, c = 0;
  int64_t oh = 0, ow = 0;
  int kernel = 1, stride = 1, pad = 0;
  const T* x = nullptr;   // (N, H, W, C)
  const T* dy = nullptr;  // (N, OH, OW, C)
  T* dx = nullptr;        // (N, H, W, C)
  Accumulate accumulate = Accumulate::no;
};

template <class T>
void max_pool_reference(const Stream&, Workspace&, const MaxPoolArgs<T>& a);
template <class T>
void max_pool_backward_reference(const Stream&, Workspace&, const MaxPoolBackwardArgs<T>& a);

Run<MaxPoolArgs<float>> max_pool_thread_per_four_channels;
Run<MaxPoolBackwardArgs<float>> max_pool_backward_places_then_gather;

// clang-format off
inline constexpr RealTechnique<MaxPoolArgs, MaxPoolBackwardArgs> max_pool_techniques[] = {
    {"thread_per_four_channels", on_cuda, max_pool_thread_per_four_channels, nullptr},
    {"places_then_gather", on_cuda, nullptr, max_pool_backward_places_then_gather},
    {"reference", on_cpu, {max_pool_reference<float>, max_pool_reference<double>},
     {max_pool_backward_reference<float>, max_pool_backward_reference<double>}},
};
// clang-format on
inline constexpr Op max_pool{"max_pool", "max_pool", column<0>(max_pool_techniques)};
inline constexpr Op max_pool_backward{"max_pool_backward", "max_pool", column<1>(max_pool_techniques)};

}  // namespace rcnn::kernels
