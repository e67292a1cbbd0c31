// The pixels that a bin of RoIAlign reads, each once. The points of a bin lie close together and share
// pixels: with 2 x 2 points a bin reads 16 corners, but only 9 distinct pixels if it is one to two pixels
// wide. Because sampling is separable, the pixels of a bin are its rows times its columns, so one short list
// per row and per column of bins describes a whole RoI.
#pragma once

#include "kernels/roi/roi_align_math.h"

namespace rcnn::kernels {

inline constexpr int kMaxTaps = 2 * kMaxTapSampling;  // of one bin on one axis

/// A row (or column) that a bin reads, and its weight in the bin's mean.
struct Tap {
  int32_t at;
  float weight;
};

/// What one bin reads along one axis.
struct BinTaps {
  int32_t count;
  Tap taps[kMaxTaps];
};

RCNN_HOST_DEVICE inline void add_tap(BinTaps& bin, int64_t at, float weight) {
  for (int i = 0; i < bin.count; ++i)
    if (bin.taps[i].at == at) {
      bin.taps[i].weight += weight;
      return;
    }
  bin.taps[bin.count++] = {static_cast<int32_t>(at), weight};
}

/// The taps of bin `bin` on an axis of `size` pixels with at most kMaxTapSampling points per bin.
RCNN_HOST_DEVICE inline void fill_taps(const RoiAxis& axis, int64_t bin, int64_t size, BinTaps& taps) {
  const float points = static_cast<float>(axis.points);
  AxisSample sample{};
  taps.count = 0;
  for (int i = 0; i < axis.points; ++i) {
    if (!axis_sample(axis, bin, i, size, sample)) continue;
    add_tap(taps, sample.low, sample.low_weight / points);
    add_tap(taps, sample.high, sample.high_weight / points);
  }
}

}  // namespace rcnn::kernels
