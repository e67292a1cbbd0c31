#pragma once

#include "core/autograd.h"

namespace rcnn {

/// lateral (N, H, W, C) + top (N, TH, TW, C), which is enlarged to (H, W) by repeating the nearest element.
/// TH <= H and TW <= W. Saves nothing for backward. See kernels/spatial/upsample_add.h.
Var upsample_add(Context& ctx, const Var& lateral, const Var& top);

}  // namespace rcnn
