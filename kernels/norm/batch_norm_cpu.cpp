#include <algorithm>
#include <cmath>

#include "core/parallel.h"
#include "kernels/norm/batch_norm.h"
#include "kernels/norm/batch_norm_math.h"
#include "kernels/norm/folded_rows.h"
#include "kernels/norm/norm_math.h"

namespace rcnn::kernels {
namespace {

/// 1 / sqrt(variance + eps).
double inverse_deviation(const ChannelMoments& m, double eps) {
  return 1 / std::sqrt(m.squares / std::max(1.0, m.rows) + eps);
}

/// The moments of channel c of x.
template <class T>
ChannelMoments moments_of(int64_t rows, int64_t channels, const T* x, int64_t c) {
  ChannelMoments m{static_cast<double>(rows), 0, 0};
  double sum = 0;
  for (int64_t row = 0; row < rows; ++row) sum += static_cast<double>(x[row * channels + c]);
  m.mean = sum / std::max(1.0, m.rows);
  for (int64_t row = 0; row < rows; ++row) {
    const double d = static_cast<double>(x[row * channels + c]) - m.mean;
    m.squares += d * d;
  }
  return m;
}

/// y of channel c, given the moments of everything that is normalised together.
template <class T>
void normalize_channel(const BatchNormArgs<T>& a, int64_t c, const ChannelMoments& m) {
  update_running(a, c, m);
  a.mean[c] = static_cast<T>(m.mean);
  a.inverse_deviation[c] = static_cast<T>(inverse_deviation(m, static_cast<double>(a.eps)));
  const T scale = a.weight[c] * a.inverse_deviation[c];
  for (int64_t row = 0; row < a.rows; ++row) {
    const int64_t at = row * a.c + c;
    T y = normalized(a.x[at], a.mean[c], scale, a.bias[c]);
    if (a.residual) y += a.residual[at];
    a.y[at] = a.relu ? rectified(y) : y;
  }
}

/// The gradient of the output before relu.
template <class Args>
auto gated(const Args& a, int64_t at) {
  return a.relu ? relu_gradient(a.y[at], a.dy[at]) : a.dy[at];
}

/// x of channel c with a mean of 0 and a variance of 1.
template <class T>
T standardised(const BatchNormBackwardArgs<T>& a, int64_t c, int64_t at) {
  return (a.x[at] - a.mean[c]) * a.inverse_deviation[c];
}

/// dx and dresidual of channel c, given the means of g and of g times the standardised x over everything that
/// is normalised together.
template <class T>
void put_gradients(const BatchNormBackwardArgs<T>& a, int64_t c, double mean_g, double mean_gz) {
  const T scale = a.weight[c] * a.inverse_deviation[c];
  for (int64_t row = 0; row < a.rows; ++row) {
    const int64_t at = row * a.c + c;
    const T g = gated(a, at);
    if (a.dx)
      put(a.dx[at], scale * (g - static_cast<T>(mean_g) - standardised(a, c, at) * static_cast<T>(mean_gz)),
          a.accumulate);
    if (a.dresidual) put(a.dresidual[at], g, a.accumulate_residual);
  }
}

}  // namespace

template <class T>
void batch_norm_reference(const Stream&, Workspace&, const BatchNormArgs<T>& a) {
  parallel_chunks(a.c, [&](int64_t c) { normalize_channel(a, c, moments_of(a.rows, a.c, a.x, c)); });
}

template <class T>
void batch_norm_backward_reference(const Stream&, Workspace&, const BatchNormBackwardArgs<T>& a) {
  const double rows = static_cast<double>(std::max<int64_t>(1, a.rows));
  parallel_chunks(a.c, [&](int64_t c) {
    double sum_g = 0, sum_gz = 0;
    for (int64_t row = 0; row < a.rows; ++row) {
      const int64_t at = row * a.c + c;
      sum_g += static_cast<double>(gated(a, at));
      sum_gz += static_cast<double>(gated(a, at)) * static_cast<double>(standardised(a, c, at));
    }
    if (a.dweight) put(a.dweight[c], static_cast<T>(sum_gz), a.accumulate_weight);
    if (a.dbias) put(a.dbias[c], static_cast<T>(sum_g), a.accumulate_bias);
    put_gradients(a, c, sum_g / rows, sum_gz / rows);
  });
}

template <class T>
void batch_norm_moments_reference(const Stream&, Workspace&, const BatchNormMomentsArgs<T>& a) {
  parallel_chunks(a.c, [&](int64_t c) {
    const ChannelMoments m = moments_of(a.rows, a.c, a.x, c);
    a.moments[c] = m.mean;
    a.moments[a.c + c] = m.squares;
  });
  a.moments[2 * a.c] = static_cast<double>(a.rows);
}

template <class T>
void sync_batch_norm_reference(const Stream&, Workspace&, const SyncBatchNormArgs<T>& a) {
  parallel_chunks(a.c,
                  [&](int64_t c) { normalize_channel(a, c, moments_of_all(a.moments, a.batches, a.c, c)); });
}

template <class T>
void batch_norm_gradient_sums_reference(const Stream&, Workspace&, const BatchNormGradientSumsArgs<T>& a) {
  parallel_chunks(a.c, [&](int64_t c) {
    double sum = 0, moment = 0;
    for (int64_t row = 0; row < a.rows; ++row) {
      const int64_t at = row * a.c + c;
      const T g = gated(a, at);
      sum += static_cast<double>(g);
      moment += static_cast<double>(g) * static_cast<double>(a.x[at] - a.mean[c]);
      if (a.dresidual) put(a.dresidual[at], g, a.accumulate_residual);
    }
    a.sums[c] = sum;
    a.sums[a.c + c] = moment;
  });
  a.sums[2 * a.c] = static_cast<double>(a.rows);
}

template <class T>
void sync_batch_norm_backward_reference(const Stream&, Workspace&, const SyncBatchNormBackwardArgs<T>& a) {
  const double* own = a.sums + a.own * batch_norm_row(a.c);
  parallel_chunks(a.c, [&](int64_t c) {
    put_parameter_gradients(a, c, own[c], own[a.c + c]);
    if (!a.dx) return;
    const ChannelSums all = sums_of_all(a.sums, a.batches, a.c, c);
    const double inverse = static_cast<double>(a.inverse_deviation[c]);
    put_gradients(a, c, all.sum / all.rows, all.moment * inverse / all.rows);
  });
}

template <class T>
void fold_batch_norm_reference(const Stream&, Workspace&, const FoldBatchNormArgs<T>& a) {
  for (int64_t c = 0; c < a.c; ++c) fold_channel(a, c);
}

namespace {

/// y of all channels; moments(c) are those of everything that is normalised together.
template <class F>
void normalize_channels(Workspace& workspace, const BatchNormArgs<float>& a, F moments) {
  float* scale = workspace.take<float>(a.c);
  for (int64_t c = 0; c < a.c; ++c) {
    const ChannelMoments m = moments(c);
    update_running(a, c, m);
    a.mean[c] = static_cast<float>(m.mean);
    a.inverse_deviation[c] = static_cast<float>(inverse_deviation(m, static_cast<double>(a.eps)));
    scale[c] = a.weight[c] * a.inverse_deviation[c];
  }
  normalize_rows(workspace, {1, a.rows, a.c}, a.x, a.mean, scale, a.bias, a.residual, a.relu, a.y);
}

/// dx, which is affine in g and x. sums(c) are those of everything that is normalised together.
template <class F>
void gradient_channels(Workspace& workspace, const BatchNormBackwardArgs<float>& a, GatedGradient gradient,
                       F sums) {
  float* scale = workspace.take<float>(a.c);
  float* slope = workspace.take<float>(a.c);
  float* offset = workspace.take<float>(a.c);
  for (int64_t c = 0; c < a.c; ++c) {
    const ChannelLine line =
        gradient_line(static_cast<double>(a.weight[c]), static_cast<double>(a.inverse_deviation[c]), sums(c));
    scale[c] = static_cast<float>(line.scale);
    slope[c] = static_cast<float>(line.slope);
    offset[c] = static_cast<float>(line.offset);
  }
  gradient_rows(workspace, {1, a.rows, a.c}, a.x, a.mean, gradient, {scale, slope, offset}, a.dx,
                a.accumulate);
}

}  // namespace

/// Reads x twice and writes y: the first pass computes the statistics, the second normalises.
void batch_norm_folded_rows(const Stream&, Workspace& workspace, const BatchNormArgs<float>& a) {
  double* mean = workspace.take<double>(a.c);
  double* squares = workspace.take<double>(a.c);
  channel_moments(workspace, {1, a.rows, a.c}, a.x, mean, squares);
  normalize_channels(workspace, a, [&](int64_t c) {
    return ChannelMoments{static_cast<double>(a.rows), mean[c], squares[c]};
  });
}

/// Two passes: the first computes the sums (and dresidual), the second dx. With M = sum g (x - mean) and
/// scale = weight inverse_deviation,
///     dx = scale g - scale inverse_deviation^2 M / rows (x - mean) - scale dbias / rows.
void batch_norm_backward_folded_rows(const Stream&, Workspace& workspace,
                                     const BatchNormBackwardArgs<float>& a) {
  GatedGradient gradient{a.relu ? a.y : nullptr, a.dy};
  double* sum = workspace.take<double>(a.c);
  double* moment = workspace.take<double>(a.c);
  gradient_sums(workspace, {1, a.rows, a.c}, a.x, a.mean, gradient, a.dresidual, a.accumulate_residual, sum,
                moment);
  for (int64_t c = 0; c < a.c; ++c) put_parameter_gradients(a, c, sum[c], moment[c]);
  if (!a.dx || a.rows == 0) return;
  // dresidual already holds g, so y need not be read again.
  if (a.dresidual && a.accumulate_residual == Accumulate::no) gradient = {nullptr, a.dresidual};
  gradient_channels(workspace, a, gradient, [&](int64_t c) {
    return ChannelSums{static_cast<double>(a.rows), sum[c], moment[c]};
  });
}

void batch_norm_moments_folded_rows(const Stream&, Workspace& workspace,
                                    const BatchNormMomentsArgs<float>& a) {
  channel_moments(workspace, {1, a.rows, a.c}, a.x, a.moments, a.moments + a.c);
  a.moments[2 * a.c] = static_cast<double>(a.rows);
}

void sync_batch_norm_folded_rows(const Stream&, Workspace& workspace, const SyncBatchNormArgs<float>& a) {
  normalize_channels(workspace, a, [&](int64_t c) { return moments_of_all(a.moments, a.batches, a.c, c); });
}

void batch_norm_gradient_sums_folded_rows(const Stream&, Workspace& workspace,
                                          const BatchNormGradientSumsArgs<float>& a) {
  gradient_sums(workspace, {1, a.rows, a.c}, a.x, a.mean, {a.relu ? a.y : nullptr, a.dy}, a.dresidual,
                a.accumulate_residual, a.sums, a.sums + a.c);
  a.sums[2 * a.c] = static_cast<double>(a.rows);
}

void sync_batch_norm_backward_folded_rows(const Stream&, Workspace& workspace,
                                          const SyncBatchNormBackwardArgs<float>& a) {
  const double* own = a.sums + a.own * batch_norm_row(a.c);
  for (int64_t c = 0; c < a.c; ++c) put_parameter_gradients(a, c, own[c], own[a.c + c]);
  if (!a.dx || a.rows == 0) return;
  gradient_channels(workspace, a, {a.relu ? a.y : nullptr, a.dy},
                    [&](int64_t c) { return sums_of_all(a.sums, a.batches, a.c, c); });
}

template Run<BatchNormArgs<float>> batch_norm_reference<float>;
template Run<BatchNormArgs<double>> batch_norm_reference<double>;
template Run<BatchNormBackwardArgs<float>> batch_norm_backward_reference<float>;
template Run<BatchNormBackwardArgs<double>> batch_norm_backward_reference<double>;
template Run<BatchNormMomentsArgs<float>> batch_norm_moments_reference<float>;
template Run<BatchNormMomentsArgs<double>> batch_norm_moments_reference<double>;
template Run<SyncBatchNormArgs<float>> sync_batch_norm_reference<float>;
template Run<SyncBatchNormArgs<double>> sync_batch_norm_reference<double>;
template Run<BatchNormGradientSumsArgs<float>> batch_norm_gradient_sums_reference<float>;
template Run<BatchNormGradientSumsArgs<double>> batch_norm_gradient_sums_reference<double>;
template Run<SyncBatchNormBackwardArgs<float>> sync_batch_norm_backward_reference<float>;
template Run<SyncBatchNormBackwardArgs<double>> sync_batch_norm_backward_reference<double>;
template Run<FoldBatchNormArgs<float>> fold_batch_norm_reference<float>;
template Run<FoldBatchNormArgs<double>> fold_batch_norm_reference<double>;

}  // namespace rcnn::kernels
