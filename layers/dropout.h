#pragma once

#include "core/autograd.h"

namespace rcnn {

/// In training: each element of x (any shape, fewer than 2^32 elements) is 0 with the chance p, else x / (1 -
/// p). Otherwise, and with p = 0: x itself. Which elements is a function of ctx.seed, ctx.step,
/// ctx.micro_batch, `layer` (below 256) and the element's place; `layer` tells the dropouts of a model apart.
/// Nothing of x is saved: backward draws again. Throws Error unless 0 <= p < 1. See
/// kernels/elementwise/dropout.h.
Var dropout(Context& ctx, const Var& x, float p, uint32_t layer);

}  // namespace rcnn
