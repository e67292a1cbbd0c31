#pragma once

#include "core/autograd.h"

namespace rcnn {

/// x (N, H, W, C) -> (N, OH, OW, C) with OH = floor((H + 2 pad - kernel) / stride) + 1 and OW likewise. With
/// `ceil_mode` the quotient is rounded up, unless the last window would then begin beyond the end of x.
/// Positions outside x are ignored. Saves x for backward. Throws Error if pad exceeds kernel / 2 or the
/// shapes do not fit. See kernels/spatial/max_pool.h.
Var max_pool(Context& ctx, const Var& x, int kernel, int stride, int pad, bool ceil_mode = false);

}  // namespace rcnn
