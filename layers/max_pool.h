#pragma once

#include "core/autograd.h"

namespace rcnn {

/// x (N, H, W, C) -> (N, OH, OW, C) with OH = floor((H + 2 pad - kernel) / stride) + 1, OW likewise; with
/// `ceil_mode` rounded up, as long as the last window begins in x or in front of it. Places outside x do not
/// take part; pad is at most kernel / 2. Saves x. Throws Error for anything else. See
/// kernels/spatial/max_pool.h.
Var max_pool(Context& ctx, const Var& x, int kernel, int stride, int pad, bool ceil_mode = false);

}  // namespace rcnn
