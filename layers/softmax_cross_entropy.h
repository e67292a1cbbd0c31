#pragma once

#include "core/autograd.h"

namespace rcnn {

/// The mean cross-entropy (a scalar) of logits (..., C) and i32 labels, one per row: a class in [0, C), or
/// -1 for a row that does not count and gets no gradient. The loss is 0 if no row counts. Saves logits and
/// labels for backward. See kernels/loss/softmax_cross_entropy.h.
Var softmax_cross_entropy(Context& ctx, const Var& logits, const Tensor& labels);

}  // namespace rcnn
