#pragma once

#include "core/autograd.h"

namespace rcnn {

struct RoiPoolConfig {
  int64_t height = 7, width = 7;  // bins
  std::vector<float> scales;      // feature pixels per image pixel of each level: 1 / stride
  float canonical_size = 224;     // a RoI of this side ...
  int canonical_level = 0;        // ... is pooled from this level
};

/// Max-pools each RoI from one of `levels`, finest first, each (N, h, w, C), into (N R, height, width, C).
/// `rois`: (N, R, 4) f32, xyxy in pixels of the network's input. `count`: (N) i32, the number of rows of
/// each image in use; undefined: all. Padding rows give 0 and get no gradient, whatever they hold. RoIs are
/// constants to autograd. Saves rois, count and the positions of the maxima for backward. Throws Error if
/// shapes or types do not fit. See kernels/roi/roi_pool.h.
Var roi_pool(Context& ctx, const std::vector<Var>& levels, const Tensor& rois, const Tensor& count,
             const RoiPoolConfig& config);

}  // namespace rcnn
