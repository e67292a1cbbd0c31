// Which pixels the bins of RoIPool cover. Everything here concerns one axis. Positions are float, whatever
// the type of the features.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/host_device.h"

namespace rcnn::kernels {

/// One axis of a RoI in whole pixels of its level's map: `length` pixels from `start` on. `length` is at
/// least 1, or 0 for a RoI without pixels.
struct RoiPixels {
  int64_t start, length;
};

/// The axis of a RoI from `low` to `high` in image pixels. Both ends are rounded to the nearest pixel, halves
/// away from 0, and belong to the RoI. If an end is not finite, or further than 2^30 pixels from 0, the RoI
/// has no pixels.
RCNN_HOST_DEVICE inline RoiPixels roi_pixels(float low, float high, float scale) {
  const float first = std::round(low * scale), last = std::round(high * scale);
  constexpr float kMax = 0x1p30f;
  if (!(std::fabs(first) <= kMax && std::fabs(last) <= kMax)) return {0, 0};
  const int64_t start = static_cast<int64_t>(first), length = static_cast<int64_t>(last) - start + 1;
  return {start, length > 1 ? length : 1};
}

/// Pixels [begin, end) of a map's axis; none if end <= begin.
struct PixelRange {
  int64_t begin, end;
};

/// The pixels of bin `bin` of `bins` on an axis of `size` pixels: every pixel that the bin touches.
RCNN_HOST_DEVICE inline PixelRange bin_pixels(const RoiPixels& roi, int64_t bin, int64_t bins, int64_t size) {
  const float length = static_cast<float>(roi.length) / static_cast<float>(bins);
  const int64_t begin = roi.start + static_cast<int64_t>(std::floor(static_cast<float>(bin) * length));
  const int64_t end = roi.start + static_cast<int64_t>(std::ceil(static_cast<float>(bin + 1) * length));
  const auto clamp = [size](int64_t at) { return at < 0 ? 0 : at < size ? at : size; };
  return {clamp(begin), clamp(end)};
}

}  // namespace rcnn::kernels
