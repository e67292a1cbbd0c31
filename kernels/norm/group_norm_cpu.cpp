#include <algorithm>
#include <cmath>

#include "core/parallel.h"
#include "kernels/norm/folded_rows.h"
#include "kernels/norm/group_norm.h"
#include "kernels/norm/norm_math.h"

namespace rcnn::kernels {
namespace {

/// Calls body(at, c) for every value of one group of one image, with its place in x and its channel.
template <class Args, class F>
void for_group(const Args& a, int64_t n, int64_t group, F body) {
  const int64_t size = a.c / a.groups;
  for (int64_t row = 0; row < a.rows; ++row)
    for (int64_t c = group * size; c < (group + 1) * size; ++c) body((n * a.rows + row) * a.c + c, c);
}

/// Calls body(n, group, n groups + group) for every group of every image.
template <class Args, class F>
void for_groups(const Args& a, F body) {
  for (int64_t index = 0; index < a.n * a.groups; ++index) body(index / a.groups, index % a.groups, index);
}

/// The number of values in a group; 1 if there are none, because it is a divisor.
template <class Args>
double group_values(const Args& a) {
  return static_cast<double>(std::max<int64_t>(1, a.rows * (a.c / a.groups)));
}

}  // namespace

template <class T>
void group_norm_reference(const Stream&, Workspace&, const GroupNormArgs<T>& a) {
  const double values = group_values(a);
  for_groups(a, [&](int64_t n, int64_t group, int64_t index) {
    double sum = 0, squares = 0;
    for_group(a, n, group, [&](int64_t at, int64_t) { sum += static_cast<double>(a.x[at]); });
    const double mean = sum / values;
    for_group(a, n, group, [&](int64_t at, int64_t) {
      const double d = static_cast<double>(a.x[at]) - mean;
      squares += d * d;
    });
    a.mean[index] = static_cast<T>(mean);
    a.inverse_deviation[index] = static_cast<T>(1 / std::sqrt(squares / values + static_cast<double>(a.eps)));
    for_group(a, n, group, [&](int64_t at, int64_t c) {
      T y = normalized(a.x[at], a.mean[index], a.weight[c] * a.inverse_deviation[index], a.bias[c]);
      if (a.residual) y += a.residual[at];
      a.y[at] = a.relu ? rectified(y) : y;
    });
  });
}

template <class T>
void group_norm_backward_reference(const Stream&, Workspace& workspace, const GroupNormBackwardArgs<T>& a) {
  const double values = group_values(a);
  double* dweight = workspace.take<double>(a.c);
  double* dbias = workspace.take<double>(a.c);
  std::fill(dweight, dweight + a.c, 0.0);
  std::fill(dbias, dbias + a.c, 0.0);
  for_groups(a, [&](int64_t n, int64_t group, int64_t index) {
    const auto g = [&](int64_t at) { return a.relu ? relu_gradient(a.y[at], a.dy[at]) : a.dy[at]; };
    const auto z = [&](int64_t at) { return (a.x[at] - a.mean[index]) * a.inverse_deviation[index]; };
    double sum = 0, sum_z = 0;  // of weight g and of weight g z
    for_group(a, n, group, [&](int64_t at, int64_t c) {
      const double value = static_cast<double>(g(at)), value_z = value * static_cast<double>(z(at));
      dweight[c] += value_z;
      dbias[c] += value;
      sum += static_cast<double>(a.weight[c]) * value;
      sum_z += static_cast<double>(a.weight[c]) * value_z;
    });
    const T mean = static_cast<T>(sum / values), mean_z = static_cast<T>(sum_z / values);
    for_group(a, n, group, [&](int64_t at, int64_t c) {
      const T d = a.inverse_deviation[index] * (a.weight[c] * g(at) - mean - z(at) * mean_z);
      if (a.dx) put(a.dx[at], d, a.accumulate);
      if (a.dresidual) put(a.dresidual[at], g(at), a.accumulate_residual);
    });
  });
  for (int64_t c = 0; c < a.c; ++c) {
    if (a.dweight) put(a.dweight[c], static_cast<T>(dweight[c]), a.accumulate_weight);
    if (a.dbias) put(a.dbias[c], static_cast<T>(dbias[c]), a.accumulate_bias);
  }
}

/// Reads x twice and writes y: the moments of the channels of an image give those of its groups.
void group_norm_folded_rows(const Stream&, Workspace& workspace, const GroupNormArgs<float>& a) {
  const Segments images{a.n, a.rows, a.c};
  const int64_t size = a.c / a.groups;
  double* channel_mean = workspace.take<double>(a.n * a.c);
  double* channel_squares = workspace.take<double>(a.n * a.c);
  channel_moments(workspace, images, a.x, channel_mean, channel_squares);
  float* mean = workspace.take<float>(a.n * a.c);
  float* scale = workspace.take<float>(a.n * a.c);
  float* bias = workspace.take<float>(a.n * a.c);
  for_groups(a, [&](int64_t n, int64_t group, int64_t index) {
    const int64_t first = n * a.c + group * size;
    double sum = 0, squares = 0;
    for (int64_t i = first; i < first + size; ++i) sum += channel_mean[i];
    const double group_mean = sum / static_cast<double>(size);
    for (int64_t i = first; i < first + size; ++i) {
      const double d = channel_mean[i] - group_mean;
      squares += channel_squares[i] + static_cast<double>(a.rows) * d * d;
    }
    a.mean[index] = static_cast<float>(group_mean);
    a.inverse_deviation[index] =
        static_cast<float>(1 / std::sqrt(squares / group_values(a) + static_cast<double>(a.eps)));
    for (int64_t i = first; i < first + size; ++i) {
      mean[i] = a.mean[index];
      scale[i] = a.weight[i - n * a.c] * a.inverse_deviation[index];
      bias[i] = a.bias[i - n * a.c];
    }
  });
  normalize_rows(workspace, images, a.x, mean, scale, bias, a.residual, a.relu, a.y);
}

/// Two passes: the first computes the sums of every channel of every image (and dresidual), the second dx,
/// which is affine in g and x. With S and M the group's sums of weight g and of weight g (x - mean),
///     dx = weight inverse_deviation g - inverse_deviation^3 M / values (x - mean)
///          - inverse_deviation S / values.
void group_norm_backward_folded_rows(const Stream&, Workspace& workspace,
                                     const GroupNormBackwardArgs<float>& a) {
  const Segments images{a.n, a.rows, a.c};
  const int64_t size = a.c / a.groups;
  GatedGradient gradient{a.relu ? a.y : nullptr, a.dy};
  float* mean = workspace.take<float>(a.n * a.c);
  for (int64_t i = 0; i < a.n * a.c; ++i) mean[i] = a.mean[i / size];
  double* sum = workspace.take<double>(a.n * a.c);
  double* moment = workspace.take<double>(a.n * a.c);
  gradient_sums(workspace, images, a.x, mean, gradient, a.dresidual, a.accumulate_residual, sum, moment);
  for (int64_t c = 0; c < a.c; ++c) {
    double dweight = 0, dbias = 0;
    for (int64_t i = c; i < a.n * a.c; i += a.c) {
      dweight += moment[i] * static_cast<double>(a.inverse_deviation[i / size]);
      dbias += sum[i];
    }
    if (a.dweight) put(a.dweight[c], static_cast<float>(dweight), a.accumulate_weight);
    if (a.dbias) put(a.dbias[c], static_cast<float>(dbias), a.accumulate_bias);
  }
  if (!a.dx || a.rows == 0) return;
  float* scale = workspace.take<float>(a.n * a.c);
  float* slope = workspace.take<float>(a.n * a.c);
  float* offset = workspace.take<float>(a.n * a.c);
  for_groups(a, [&](int64_t n, int64_t group, int64_t index) {
    const int64_t first = n * a.c + group * size;
    const double inverse = static_cast<double>(a.inverse_deviation[index]);
    double weighted_sum = 0, weighted_moment = 0;
    for (int64_t i = first; i < first + size; ++i) {
      weighted_sum += static_cast<double>(a.weight[i - n * a.c]) * sum[i];
      weighted_moment += static_cast<double>(a.weight[i - n * a.c]) * moment[i];
    }
    for (int64_t i = first; i < first + size; ++i) {
      scale[i] = a.weight[i - n * a.c] * a.inverse_deviation[index];
      slope[i] = static_cast<float>(-inverse * inverse * inverse * weighted_moment / group_values(a));
      offset[i] = static_cast<float>(-inverse * weighted_sum / group_values(a));
    }
  });
  // dresidual already holds g, so y need not be read again.
  if (a.dresidual && a.accumulate_residual == Accumulate::no) gradient = {nullptr, a.dresidual};
  gradient_rows(workspace, images, a.x, mean, gradient, {scale, slope, offset}, a.dx, a.accumulate);
}

template Run<GroupNormArgs<float>> group_norm_reference<float>;
template Run<GroupNormArgs<double>> group_norm_reference<double>;
template Run<GroupNormBackwardArgs<float>> group_norm_backward_reference<float>;
template Run<GroupNormBackwardArgs<double>> group_norm_backward_reference<double>;

}  // namespace rcnn::kernels
