#pragma once

#include "core/context.h"

namespace rcnn {

/// Probabilities of logits (..., C), for inference: a constant to autograd. See
/// kernels/elementwise/softmax.h.
Tensor softmax(Context& ctx, const Tensor& logits);

}  // namespace rcnn
