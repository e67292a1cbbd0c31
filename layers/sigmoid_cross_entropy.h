#pragma once

#include <vector>

#include "core/autograd.h"

namespace rcnn {

/// The mean binary cross-entropy (a scalar) of the levels' logits, each (N, H, W, A) or (N, rows), and i32
/// labels (N, rows of all levels, one level after the other): 1, 0, or -1 for a logit that does not count
/// and gets no gradient. The loss is 0 if no logit counts. Saves logits and labels for backward. See
/// kernels/loss/sigmoid_cross_entropy.h.
Var sigmoid_cross_entropy(Context& ctx, const std::vector<Var>& logits, const Tensor& labels);

}  // namespace rcnn
