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
double inverse_deviation(double squares, int64_t rows, double eps) {
  return 1 / std::sqrt(squares / static_cast<double>(std::max<int64_t>(1, rows)) + eps);
}

}  // namespace

template <class T>
void batch_norm_reference(const Stream&, Workspace&, const BatchNormArgs<T>& a) {
  const double rows = static_cast<double>(std::max<int64_t>(1, a.rows));
  parallel_chunks(a.c, [&](int64_t c) {
    double sum = 0, squares = 0;
    for (int64_t row = 0; row < a.rows; ++row) sum += static_cast<double>(a.x[row * a.c + c]);
    const double mean = sum / rows;
    for (int64_t row = 0; row < a.rows; ++row) {
      const double d = static_cast<double>(a.x[row * a.c + c]) - mean;
      squares += d * d;
    }
    update_running(a, c, mean, squares);
    a.mean[c] = static_cast<T>(mean);
    a.inverse_deviation[c] = static_cast<T>(inverse_deviation(squares, a.rows, static_cast<double>(a.eps)));
    const T scale = a.weight[c] * a.inverse_deviation[c];
    for (int64_t row = 0; row < a.rows; ++row) {
      const int64_t at = row * a.c + c;
      T y = normalized(a.x[at], a.mean[c], scale, a.bias[c]);
      if (a.residual) y += a.residual[at];
      a.y[at] = a.relu ? rectified(y) : y;
    }
  });
}

template <class T>
void batch_norm_backward_reference(const Stream&, Workspace&, const BatchNormBackwardArgs<T>& a) {
  const double rows = static_cast<double>(std::max<int64_t>(1, a.rows));
  parallel_chunks(a.c, [&](int64_t c) {
    const auto g = [&](int64_t at) { return a.relu ? relu_gradient(a.y[at], a.dy[at]) : a.dy[at]; };
    const auto z = [&](int64_t at) { return (a.x[at] - a.mean[c]) * a.inverse_deviation[c]; };
    double sum_g = 0, sum_gz = 0;
    for (int64_t row = 0; row < a.rows; ++row) {
      const int64_t at = row * a.c + c;
      sum_g += static_cast<double>(g(at));
      sum_gz += static_cast<double>(g(at)) * static_cast<double>(z(at));
    }
    if (a.dweight) put(a.dweight[c], static_cast<T>(sum_gz), a.accumulate_weight);
    if (a.dbias) put(a.dbias[c], static_cast<T>(sum_g), a.accumulate_bias);
    const T scale = a.weight[c] * a.inverse_deviation[c];
    const T mean_g = static_cast<T>(sum_g / rows), mean_gz = static_cast<T>(sum_gz / rows);
    for (int64_t row = 0; row < a.rows; ++row) {
      const int64_t at = row * a.c + c;
      if (a.dx) put(a.dx[at], scale * (g(at) - mean_g - z(at) * mean_gz), a.accumulate);
      if (a.dresidual) put(a.dresidual[at], g(at), a.accumulate_residual);
    }
  });
}

template <class T>
void fold_batch_norm_reference(const Stream&, Workspace&, const FoldBatchNormArgs<T>& a) {
  for (int64_t c = 0; c < a.c; ++c) fold_channel(a, c);
}

/// Reads x twice and writes y: the first pass computes the statistics, the second normalises.
void batch_norm_folded_rows(const Stream&, Workspace& workspace, const BatchNormArgs<float>& a) {
  const Segments all{1, a.rows, a.c};
  double* mean = workspace.take<double>(a.c);
  double* squares = workspace.take<double>(a.c);
  float* scale = workspace.take<float>(a.c);
  channel_moments(workspace, all, a.x, mean, squares);
  for (int64_t c = 0; c < a.c; ++c) {
    update_running(a, c, mean[c], squares[c]);
    a.mean[c] = static_cast<float>(mean[c]);
    a.inverse_deviation[c] =
        static_cast<float>(inverse_deviation(squares[c], a.rows, static_cast<double>(a.eps)));
    scale[c] = a.weight[c] * a.inverse_deviation[c];
  }
  normalize_rows(workspace, all, a.x, a.mean, scale, a.bias, a.residual, a.relu, a.y);
}

/// Two passes: the first computes the sums (and dresidual), the second dx, which is affine in g and x. With M
/// = sum g (x - mean) and scale = weight inverse_deviation,
///     dx = scale g - scale inverse_deviation^2 M / rows (x - mean) - scale dbias / rows.
void batch_norm_backward_folded_rows(const Stream&, Workspace& workspace,
                                     const BatchNormBackwardArgs<float>& a) {
  const Segments all{1, a.rows, a.c};
  GatedGradient gradient{a.relu ? a.y : nullptr, a.dy};
  double* sum = workspace.take<double>(a.c);
  double* moment = workspace.take<double>(a.c);
  gradient_sums(workspace, all, a.x, a.mean, gradient, a.dresidual, a.accumulate_residual, sum, moment);
  for (int64_t c = 0; c < a.c; ++c) {
    const double inverse = static_cast<double>(a.inverse_deviation[c]);
    if (a.dweight) put(a.dweight[c], static_cast<float>(moment[c] * inverse), a.accumulate_weight);
    if (a.dbias) put(a.dbias[c], static_cast<float>(sum[c]), a.accumulate_bias);
  }
  if (!a.dx || a.rows == 0) return;
  float* scale = workspace.take<float>(a.c);
  float* slope = workspace.take<float>(a.c);
  float* offset = workspace.take<float>(a.c);
  for (int64_t c = 0; c < a.c; ++c) {
    const double rows = static_cast<double>(a.rows), inverse = static_cast<double>(a.inverse_deviation[c]);
    const double s = static_cast<double>(a.weight[c]) * inverse;
    scale[c] = static_cast<float>(s);
    slope[c] = static_cast<float>(-s * inverse * inverse * moment[c] / rows);
    offset[c] = static_cast<float>(-s * sum[c] / rows);
  }
  // dresidual already holds g, so y need not be read again.
  if (a.dresidual && a.accumulate_residual == Accumulate::no) gradient = {nullptr, a.dresidual};
  gradient_rows(workspace, all, a.x, a.mean, gradient, {scale, slope, offset}, a.dx, a.accumulate);
}

template Run<BatchNormArgs<float>> batch_norm_reference<float>;
template Run<BatchNormArgs<double>> batch_norm_reference<double>;
template Run<BatchNormBackwardArgs<float>> batch_norm_backward_reference<float>;
template Run<BatchNormBackwardArgs<double>> batch_norm_backward_reference<double>;
template Run<FoldBatchNormArgs<float>> fold_batch_norm_reference<float>;
template Run<FoldBatchNormArgs<double>> fold_batch_norm_reference<double>;

}  // namespace rcnn::kernels
