#pragma once

#include "core/autograd.h"

namespace rcnn {

/// x (N, H, W, C) -> (N, C), the mean over each map, which has at least one pixel. Saves nothing for
/// backward. See kernels/spatial/average_pool.h.
Var average_pool(Context& ctx, const Var& x);

}  // namespace rcnn
