// The mean over the whole map of each image (or RoI): what stands between a convolutional head and the linear
// layers behind it.
//
//     y[n, c] = sum over i of x[n, i, c] / P
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

template <class T>
struct AveragePoolArgs {
  int64_t n, p, c;  // images, pixels of a map (at least 1), channels
  const T* x;       // (N, P, C)
  T* y;             // (N, C)
};

/// Backward: dx[n, i, c] = dy[n, c] / P.
template <class T>
struct AveragePoolBackwardArgs {
  int64_t n, p, c;
  const T* dy;  // (N, C)
  T* dx;        // (N, P, C)
  Accumulate accumulate;
};

template <class T>
void average_pool_reference(const Stream&, Workspace&, const AveragePoolArgs<T>& a);
template <class T>
void average_pool_backward_reference(const Stream&, Workspace&, const AveragePoolBackwardArgs<T>& a);

void average_pool_thread_per_four_channels(const Stream&, Workspace&, const AveragePoolArgs<float>& a);
void average_pool_backward_thread_per_four_channels(const Stream&, Workspace&,
                                                    const AveragePoolBackwardArgs<float>& a);

// clang-format off
inline constexpr Variant<AveragePoolArgs<float>, AveragePoolArgs<double>> average_pool_variants[] = {
    OnCuda{"thread_per_four_channels", average_pool_thread_per_four_channels},
    {DeviceType::cpu, "reference", average_pool_reference<float>, average_pool_reference<double>},
};
inline constexpr Op<AveragePoolArgs<float>, AveragePoolArgs<double>> average_pool{
    "average_pool", "average_pool", average_pool_variants};

inline constexpr Variant<AveragePoolBackwardArgs<float>, AveragePoolBackwardArgs<double>> average_pool_backward_variants[] = {
    OnCuda{"thread_per_four_channels", average_pool_backward_thread_per_four_channels},
    {DeviceType::cpu, "reference", average_pool_backward_reference<float>, average_pool_backward_reference<double>},
};
inline constexpr Op<AveragePoolBackwardArgs<float>, AveragePoolBackwardArgs<double>> average_pool_backward{
    "average_pool_backward", "average_pool", average_pool_backward_variants};
// clang-format on

}  // namespace rcnn::kernels
