#pragma once

#include "core/autograd.h"

namespace rcnn {

/// Mean cross-entropy (a scalar) of logits (..., C) and i32 labels, one for each row: a class in [0, C), or
/// -1 for a row that neither counts nor gets a gradient. 0 when no row counts. Saves logits and labels. See
/// kernels/loss/softmax_cross_entropy.h.
Var softmax_cross_entropy(Context& ctx, const Var& logits, const Tensor& labels);

}  // namespace rcnn
