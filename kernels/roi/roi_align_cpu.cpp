#include <algorithm>

#include "core/parallel.h"
#include "kernels/roi/roi_align_math.h"

namespace rcnn::kernels {
namespace {

/// Calls `visit(y, x)` for each sample of bin (py, px) that is not outside the map.
template <class Visit>
void for_each_sample(const RoiAlignGrid& a, const RoiAxes& roi, int64_t py, int64_t px, Visit visit) {
  AxisSample y{}, x{};
  for (int i = 0; i < roi.y.points; ++i) {
    if (!axis_sample(roi.y, py, i, a.h[roi.level], y)) continue;
    for (int j = 0; j < roi.x.points; ++j)
      if (axis_sample(roi.x, px, j, a.w[roi.level], x)) visit(y, x);
  }
}

template <class T>
void pool_roi(const RoiAlignArgs<T>& a, int64_t image, const RoiAxes& roi, T* y) {
  const int64_t w = a.w[roi.level];
  const T* map = a.x[roi.level] + image * a.h[roi.level] * w * a.c;
  const T count = static_cast<T>(sample_count(roi.y, roi.x));
  for (int64_t py = 0; py < a.ph; ++py)
    for (int64_t px = 0; px < a.pw; ++px, y += a.c) {
      for_each_sample(a, roi, py, px, [&](const AxisSample& sy, const AxisSample& sx) {
        const T* low_row = map + sy.low * w * a.c;
        const T* high_row = map + sy.high * w * a.c;
        const T w0 = static_cast<T>(sy.low_weight) * static_cast<T>(sx.low_weight),
                w1 = static_cast<T>(sy.low_weight) * static_cast<T>(sx.high_weight),
                w2 = static_cast<T>(sy.high_weight) * static_cast<T>(sx.low_weight),
                w3 = static_cast<T>(sy.high_weight) * static_cast<T>(sx.high_weight);
        const int64_t low = sx.low * a.c, high = sx.high * a.c;
        for (int64_t c = 0; c < a.c; ++c)
          y[c] += w0 * low_row[low + c] + w1 * low_row[high + c] + w2 * high_row[low + c] +
                  w3 * high_row[high + c];
      });
      for (int64_t c = 0; c < a.c; ++c) y[c] /= count;
    }
}

template <class T>
void spread_roi(const RoiAlignBackwardArgs<T>& a, int64_t image, const RoiAxes& roi, const T* dy) {
  const int64_t w = a.w[roi.level];
  T* map = a.dx[roi.level] + image * a.h[roi.level] * w * a.c;
  const T count = static_cast<T>(sample_count(roi.y, roi.x));
  const auto add = [&](int64_t row, int64_t column, float y_weight, float x_weight, const T* from) {
    T* dx = map + (row * w + column) * a.c;
    const T weight = static_cast<T>(y_weight) * static_cast<T>(x_weight) / count;
    for (int64_t c = 0; c < a.c; ++c) dx[c] += weight * from[c];
  };
  for (int64_t py = 0; py < a.ph; ++py)
    for (int64_t px = 0; px < a.pw; ++px, dy += a.c)
      for_each_sample(a, roi, py, px, [&](const AxisSample& sy, const AxisSample& sx) {
        add(sy.low, sx.low, sy.low_weight, sx.low_weight, dy);
        add(sy.low, sx.high, sy.low_weight, sx.high_weight, dy);
        add(sy.high, sx.low, sy.high_weight, sx.low_weight, dy);
        add(sy.high, sx.high, sy.high_weight, sx.high_weight, dy);
      });
}

}  // namespace

template <class T>
void roi_align_reference(const Stream&, Workspace&, const RoiAlignArgs<T>& a) {
  const int64_t size = a.ph * a.pw * a.c;
  parallel_for(a.n * a.r, 4, [&](int64_t begin, int64_t end) {
    std::fill(a.y + begin * size, a.y + end * size, T(0));
    for (int64_t k = begin; k < end; ++k)
      if (!is_padding(a, k / a.r, k % a.r)) pool_roi(a, k / a.r, axes_of(a, a.rois + k * 4), a.y + k * size);
  });
}

template <class T>
void roi_align_backward_reference(const Stream&, Workspace&, const RoiAlignBackwardArgs<T>& a) {
  const int64_t size = a.ph * a.pw * a.c;
  parallel_chunks(a.n, [&](int64_t image) {
    for (int l = 0; l < a.levels; ++l)
      if (a.dx[l] != nullptr && a.accumulate[l] == Accumulate::no)
        std::fill_n(a.dx[l] + image * a.h[l] * a.w[l] * a.c, a.h[l] * a.w[l] * a.c, T(0));
    for (int64_t row = 0; row < a.r; ++row) {
      if (is_padding(a, image, row)) break;
      const int64_t k = image * a.r + row;
      const RoiAxes roi = axes_of(a, a.rois + k * 4);
      if (a.dx[roi.level] != nullptr) spread_roi(a, image, roi, a.dy + k * size);
    }
  });
}

template Run<RoiAlignArgs<float>> roi_align_reference<float>;
template Run<RoiAlignArgs<double>> roi_align_reference<double>;
template Run<RoiAlignBackwardArgs<float>> roi_align_backward_reference<float>;
template Run<RoiAlignBackwardArgs<double>> roi_align_backward_reference<double>;

}  // namespace rcnn::kernels
