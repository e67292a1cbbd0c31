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

/// What is known of a channel of so many rows: its mean, and the sum of the squared distances from it.
struct ChannelMoments {
  double rows, mean, squares;
};
/// The sums of its gradient: of g, and of g (x - mean).
struct ChannelSums {
  double rows, sum, moment;
};

/// Channel c of all batches together, of a table (batches, 2 C + 1). As in channel_moments (see
/// kernels/norm/folded_rows.h), only distances between means are squared, so a large mean causes no
/// cancellation.
RCNN_HOST_DEVICE inline ChannelMoments moments_of_all(const double* table, int64_t batches, int64_t channels,
                                                      int64_t c) {
  const int64_t row = batch_norm_row(channels);
  ChannelMoments all{0, 0, 0};
  for (int64_t i = 0; i < batches; ++i) all.rows += table[i * row + 2 * channels];
  if (all.rows == 0) return all;
  for (int64_t i = 0; i < batches; ++i)
    all.mean += table[i * row + 2 * channels] / all.rows * table[i * row + c];
  for (int64_t i = 0; i < batches; ++i) {
    const double d = table[i * row + c] - all.mean;
    all.squares += table[i * row + channels + c] + table[i * row + 2 * channels] * d * d;
  }
  return all;
}

RCNN_HOST_DEVICE inline ChannelSums sums_of_all(const double* table, int64_t batches, int64_t channels,
                                                int64_t c) {
  const int64_t row = batch_norm_row(channels);
  ChannelSums all{0, 0, 0};
  for (int64_t i = 0; i < batches; ++i) {
    all.rows += table[i * row + 2 * channels];
    all.sum += table[i * row + c];
    all.moment += table[i * row + channels + c];
  }
  return all;
}

/// Moves the running statistics of channel c towards those of a batch, or of several.
template <class T>
RCNN_HOST_DEVICE inline void update_running(const BatchNormArgs<T>& a, int64_t c, const ChannelMoments& m) {
  if (m.rows == 0) return;
  const double unbiased = m.squares / (m.rows > 1 ? m.rows - 1 : 1);
  if (a.running_mean)
    a.running_mean[c] = moved(a.running_mean[c], a.momentum, a.momentum * static_cast<T>(m.mean));
  if (a.running_var)
    a.running_var[c] = moved(a.running_var[c], a.momentum, a.momentum * static_cast<T>(unbiased));
}

/// dx as a function of g and x, given the sums over everything that is normalised together:
/// scale g + slope (x - mean) + offset.
struct ChannelLine {
  double scale, slope, offset;
};
RCNN_HOST_DEVICE inline ChannelLine gradient_line(double weight, double inverse_deviation,
                                                  const ChannelSums& all) {
  const double s = weight * inverse_deviation;
  return {s, -s * inverse_deviation * inverse_deviation * all.moment / all.rows, -s * all.sum / all.rows};
}

/// dweight and dbias of channel c, given the batch's own sums.
template <class T>
RCNN_HOST_DEVICE inline void put_parameter_gradients(const BatchNormBackwardArgs<T>& a, int64_t c, double sum,
                                                     double moment) {
  const double inverse = static_cast<double>(a.inverse_deviation[c]);
  if (a.dweight) put(a.dweight[c], static_cast<T>(moment * inverse), a.accumulate_weight);
  if (a.dbias) put(a.dbias[c], static_cast<T>(sum), a.accumulate_bias);
}

/// Turns the running statistics into one multiplication and one addition.
template <class T>
RCNN_HOST_DEVICE inline void fold_channel(const FoldBatchNormArgs<T>& a, int64_t c) {
  a.scale[c] = a.weight[c] * (T(1) / std::sqrt(a.running_var[c] + a.eps));
  a.shift[c] = a.bias[c] - a.running_mean[c] * a.scale[c];
}

}  // namespace rcnn::kernels
