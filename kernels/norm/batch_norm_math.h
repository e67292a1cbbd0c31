// What batch norm computes once per channel.
#pragma once

#include <cmath>

#include "kernels/norm/batch_norm.h"

namespace rcnn::kernels {

/// Moves the running statistics of channel c towards those of a batch of `rows` rows, given its mean and its
/// sum of squared deviations.
template <class T>
RCNN_HOST_DEVICE inline void update_running(const BatchNormArgs<T>& a, int64_t c, double mean,
                                            double squares) {
  if (a.rows == 0) return;
  const double unbiased = squares / static_cast<double>(a.rows > 1 ? a.rows - 1 : 1);
  if (a.running_mean)
    a.running_mean[c] = (1 - a.momentum) * a.running_mean[c] + a.momentum * static_cast<T>(mean);
  if (a.running_var)
    a.running_var[c] = (1 - a.momentum) * a.running_var[c] + a.momentum * static_cast<T>(unbiased);
}

/// Turns the running statistics into one multiplication and one addition.
template <class T>
RCNN_HOST_DEVICE inline void fold_channel(const FoldBatchNormArgs<T>& a, int64_t c) {
  a.scale[c] = a.weight[c] * (T(1) / std::sqrt(a.running_var[c] + a.eps));
  a.shift[c] = a.bias[c] - a.running_mean[c] * a.scale[c];
}

}  // namespace rcnn::kernels
