#pragma once

#include "core/autograd.h"

namespace rcnn {

/// In training, each element of x (any shape, fewer than 2^32 elements) becomes 0 with probability p, and is
/// divided by 1 - p otherwise. Outside training, or with p = 0, the result is x itself. Which elements become
/// 0 depends only on ctx.seed, ctx.step, ctx.micro_batch, `layer` and the element's index; `layer` (below
/// 256) tells the dropouts of a model apart. Saves nothing of x, because backward draws the same numbers
/// again. Throws Error unless 0 <= p < 1. See kernels/elementwise/dropout.h.
Var dropout(Context& ctx, const Var& x, float p, uint32_t layer);

}  // namespace rcnn
