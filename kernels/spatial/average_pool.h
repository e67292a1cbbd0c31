// The mean over the whole map of each image (or RoI), as used between a convolutional head and the linear
// layers that follow.
//
//     y[n, c] = sum over i of x[n, i, c] / P
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

template <class T>
struct AveragePoolArgs {
  int64_t n = 0, p = 0, c = 0;  // images, pixels of a map (at least 1), channels
  const T* x = nullptr;         // (N, P, C)
  T* y = nullptr;               // (N, C)
};

/// Backward: dx[n, i, c] = dy[n, c] / P.
template <class T>
struct AveragePoolBackwardArgs {
  int64_t n = 0, p = 0, c = 0;
  const T* dy = nullptr;  // (N, C)
  T* dx = nullptr;        // (N, P, C)
  Accumulate accumulate = Accumulate::no;
};

template <class T>
void average_pool_reference(const Stream&, Workspace&, const AveragePoolArgs<T>& a);
template <class T>
void average_pool_backward_reference(const Stream&, Workspace&, const AveragePoolBackwardArgs<T>& a);

Run<AveragePoolArgs<float>> average_pool_thread_per_four_channels;
Run<AveragePoolBackwardArgs<float>> average_pool_backward_thread_per_four_channels;

// clang-format off
inline constexpr RealTechnique<AveragePoolArgs, AveragePoolBackwardArgs> average_pool_techniques[] = {
    {"thread_per_four_channels", on_cuda, average_pool_thread_per_four_channels,
     average_pool_backward_thread_per_four_channels},
    {"reference", on_cpu, {average_pool_reference<float>, average_pool_reference<double>},
     {average_pool_backward_reference<float>, average_pool_backward_reference<double>}},
};
// clang-format on
inline constexpr Op average_pool{"average_pool", "average_pool", column<0>(average_pool_techniques)};
inline constexpr Op average_pool_backward{"average_pool_backward", "average_pool",
                                          column<1>(average_pool_techniques)};

}  // namespace rcnn::kernels
