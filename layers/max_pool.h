#pragma once

#include "core/autograd.h"

namespace rcnn {

/// x (N, H, W, C) -> (N, OH, OW, C) with OH = floor((H + 2 pad - kernel) / stride) + 1, OW likewise. Places
/// outside x do not take part; pad is at most kernel / 2. Saves x. Throws Error for anything else. See
/// kernels/max_pool.h.
Var max_pool(Context& ctx, const Var& x, int kernel, int stride, int pad);

}  // namespace rcnn
