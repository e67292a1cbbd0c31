#pragma once

#include "core/autograd.h"

namespace rcnn {

struct RoiAlignConfig {
  int64_t height = 7, width = 7;  // bins
  int sampling = 2;               // points along each side of a bin; 0: ceil(side of the bin)
  bool aligned = false;           // half-pixel rule
  std::vector<float> scales;      // feature pixels per image pixel of each level: 1 / stride
  float canonical_size = 224;     // a RoI of this side ...
  int canonical_level = 2;        // ... is pooled from this level
};

/// Pools each RoI from one of `levels`, finest first, each (N, h, w, C), into (N R, height, width, C).
/// `rois`: (N, R, 4) f32, xyxy in pixels of the network's input. `count`: (N) i32, the number of rows of
/// each image in use; undefined: all. Padding rows give 0 and get no gradient, whatever they hold. RoIs are
/// constants to autograd. Saves rois and count for backward. Throws Error if shapes or types do not fit.
/// See kernels/roi/roi_align.h.
Var roi_align(Context& ctx, const std::vector<Var>& levels, const Tensor& rois, const Tensor& count,
              const RoiAlignConfig& config);

}  // namespace rcnn
