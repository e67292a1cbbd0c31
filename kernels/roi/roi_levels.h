// Regions of interest over the levels of a feature pyramid: what RoIAlign and RoIPool have in common.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/host_device.h"
#include "kernels/levels.h"

namespace rcnn::kernels {

/// N images with R rows of RoIs each. Every RoI is pooled from one of the levels into PH x PW bins. Each
/// level holds (N, h, w, C) features.
struct RoiLevels {
  int64_t n = 0, r = 0, c = 0;
  int levels = 0;                                  // 1 to kMaxLevels, finest first
  int64_t h[kMaxLevels] = {}, w[kMaxLevels] = {};  // at least 1
  float scale[kMaxLevels] = {};                    // feature pixels per image pixel: 1 / stride
  const float* rois = nullptr;                     // (N, R, 4): boxes in pixels of the network's input
  const int32_t* count = nullptr;  // (N): valid rows of each image, the others are padding; null: all
  int64_t ph = 0, pw = 0;
  // A RoI of side canonical_size (the square root of its area) belongs to canonical_level, which may be
  // outside [0, levels).
  float canonical_size = 1;
  int canonical_level = 0;
};

/// Whether a warp has a lane for every bin of an axis.
template <class Args>
bool bins_fit_a_warp(const Args& a) {
  return a.ph <= 32 && a.pw <= 32;
}

/// Whether row `row` of image `image` is padding, which must not be read.
RCNN_HOST_DEVICE inline bool is_padding(const RoiLevels& a, int64_t image, int64_t row) {
  return a.count != nullptr && row >= a.count[image];
}

/// The level that a RoI is pooled from (Lin et al., "Feature Pyramid Networks for Object Detection", equation
/// 1): floor(canonical_level + log2(sqrt(area) / canonical_size) + 1e-6), clamped to [0, levels). A RoI
/// without a positive area, or with a NaN, goes to level 0.
RCNN_HOST_DEVICE inline int roi_level(const RoiLevels& a, const float* roi) {
  const float side = std::sqrt((roi[2] - roi[0]) * (roi[3] - roi[1]));
  // Computed in double, so that the CPU and a GPU choose the same level: see exp_through_double.
  const float steps = static_cast<float>(std::log2(static_cast<double>(side / a.canonical_size)));
  const float level = std::floor(static_cast<float>(a.canonical_level) + steps + 1e-6f);
  if (!(level > 0.0f)) return 0;  // written so that a NaN also returns here
  const int last = a.levels - 1;
  return level < static_cast<float>(last) ? static_cast<int>(level) : last;
}

}  // namespace rcnn::kernels
