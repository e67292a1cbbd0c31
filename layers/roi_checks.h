// The checks and the set-up that RoIAlign and RoI pooling share.
#pragma once

#include <vector>

#include "core/autograd.h"
#include "kernels/roi/roi_levels.h"

namespace rcnn {

/// The RoIs, levels and bins of a call of `layer`, with every argument checked. Throws Error with a message
/// that begins with the layer's name.
kernels::RoiLevels checked_roi_levels(const char* layer, const std::vector<Var>& levels, const Tensor& rois,
                                      const Tensor& count, int64_t height, int64_t width,
                                      const std::vector<float>& scales, float canonical_size,
                                      int canonical_level);

}  // namespace rcnn
