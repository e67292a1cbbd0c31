// What batch norm computes once per channel.
#pragma once

#include <cmath>

#include "kernels/norm/batch_norm.h"

namespace rcnn::kernels {

/// A running statistic after a batch, of whose value `change` is momentum times. train/step_record.h repeats
/// these sums, with the same bits.
template <class T>
RCNN_HOST_DEVICE inline T moved(T running, T momentum, T change) {
  return (1 - momentum) * running + change;
}

/// Moves the running statistics of channel c towards those of a batch of `rows` rows, given its mean and its
/// sum of squared deviations.
template <class T>
RCNN_HOST_DEVICE inline void update_running(const BatchNormArgs<T>& a, int64_t c, double mean,
                                            double squares) {
  if (a.rows == 0) return;
  const double unbiased = squares / static_cast<double>(a.rows > 1 ? a.rows - 1 : 1);
  if (a.running_mean)
    a.running_mean[c] = moved(a.running_mean[c], a.momentum, a.momentum * static_cast<T>(mean));
  if (a.running_var)
    a.running_var[c] = moved(a.running_var[c], a.momentum, a.momentum * static_cast<T>(unbiased));
}

/// Turns the running statistics into one multiplication and one addition.
template <class T>
RCNN_HOST_DEVICE inline void fold_channel(const FoldBatchNormArgs<T>& a, int64_t c) {
  a.scale[c] = a.weight[c] * (T(1) / std::sqrt(a.running_var[c] + a.eps));
  a.shift[c] = a.bias[c] - a.running_mean[c] * a.scale[c];
}

}  // namespace rcnn::kernels
