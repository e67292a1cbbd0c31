// Helpers that backward functions share.
#pragma once

#include "core/autograd.h"

namespace rcnn {

/// Writes or adds `value` into `target` when a gradient is wanted there: an input whose gradient is the
/// output's.
void add_gradient(const GradientTarget& target, const Tensor& value);

}  // namespace rcnn
