// Where RoIAlign samples the feature map, and with which weights.
//
// Bilinear sampling is separable: a sample at (y, x) is inside when y is inside the rows and x inside the
// columns, and each of its four weights is the product of a row weight and a column weight. So everything
// here concerns one axis. Positions are computed in float, like the boxes, whatever the type of the features,
// so that float and double runs sample the same points.
#pragma once

#include "kernels/roi/roi_align.h"

namespace rcnn::kernels {

/// One axis of a RoI, in pixels of its level's map.
struct RoiAxis {
  float start;  // where the first bin begins
  float bin;    // length of a bin
  int points;   // samples in each bin
};

/// The axis of a RoI from `low` to `high` in image pixels over a map of `size` pixels. With `aligned`, pixel
/// i of the map covers [i, i + 1) and its value is at i + 1/2. Without it, as in the original RoIAlign, its
/// value is at i, and a RoI is at least one pixel long. With `sampling` 0 a bin has ceil(length / bins)
/// points, but at most as many as the map has pixels.
RCNN_HOST_DEVICE inline RoiAxis roi_axis(float low, float high, float scale, int64_t bins, int64_t size,
                                         int sampling, bool aligned) {
  const float offset = aligned ? 0.5f : 0.0f;
  const float start = low * scale - offset;
  float length = (high * scale - offset) - start;
  if (!aligned && length < 1.0f) length = 1.0f;  // a NaN stays NaN
  const float bin = length / static_cast<float>(bins);
  if (sampling > 0) return {start, bin, sampling};
  const float wanted = std::ceil(bin), max_points = static_cast<float>(size);
  if (!(wanted > 0.0f)) return {start, bin, 0};
  return {start, bin, static_cast<int>(wanted < max_points ? wanted : max_points)};
}

/// One axis of a bilinear sample: pixels `low` and `high`, which may be the same pixel, with their weights.
struct AxisSample {
  int64_t low, high;
  float low_weight, high_weight;
};

/// Where sample `point` of bin `bin` lies.
RCNN_HOST_DEVICE inline float sample_position(const RoiAxis& axis, int64_t bin, int point) {
  return axis.start + static_cast<float>(bin) * axis.bin +
         (static_cast<float>(point) + 0.5f) * axis.bin / static_cast<float>(axis.points);
}

/// Places a sample between the pixels of an axis of `size` pixels. Returns false when the sample is outside,
/// more than one pixel before the first or after the last pixel, and so contributes nothing.
RCNN_HOST_DEVICE inline bool axis_sample(const RoiAxis& axis, int64_t bin, int point, int64_t size,
                                         AxisSample& sample) {
  float at = sample_position(axis, bin, point);
  if (!(at >= -1.0f && at <= static_cast<float>(size))) return false;  // written so that a NaN is outside
  if (at < 0.0f) at = 0.0f;
  const int64_t low = static_cast<int64_t>(at);
  if (low >= size - 1) {
    sample = {size - 1, size - 1, 1.0f, 0.0f};
    return true;
  }
  const float fraction = at - static_cast<float>(low);
  sample = {low, low + 1, 1.0f - fraction, fraction};
  return true;
}

/// Both axes of a RoI, and the level that it is pooled from.
struct RoiAxes {
  int level;
  RoiAxis y, x;
};
RCNN_HOST_DEVICE inline RoiAxes axes_of(const RoiAlignGrid& a, const float* roi) {
  const int level = roi_level(a, roi);
  const float scale = a.scale[level];
  return {level, roi_axis(roi[1], roi[3], scale, a.ph, a.h[level], a.sampling, a.aligned),
          roi_axis(roi[0], roi[2], scale, a.pw, a.w[level], a.sampling, a.aligned)};
}

/// The number that a bin's sum of samples is divided by.
RCNN_HOST_DEVICE inline int sample_count(const RoiAxis& y, const RoiAxis& x) {
  const int count = y.points * x.points;
  return count > 1 ? count : 1;
}

}  // namespace rcnn::kernels
