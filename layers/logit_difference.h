#pragma once

#include "core/autograd.h"

namespace rcnn {

/// x (..., 2 A), A scores of background followed by A of object -> (..., A), their difference: the logit
/// whose sigmoid is the softmax over the two. Saves nothing for backward. Throws Error if the last
/// dimension is odd. See kernels/elementwise/logit_difference.h.
Var logit_difference(Context& ctx, const Var& x);

}  // namespace rcnn
