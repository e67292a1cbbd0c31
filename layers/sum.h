#pragma once

#include <vector>

#include "core/autograd.h"

namespace rcnn {

/// sum_i weights[i] scalars[i], a scalar: adds up the terms of a loss. There are at most kernels::kMaxTerms
/// terms of one element each. Saves nothing for backward.
Var weighted_sum(Context& ctx, const std::vector<Var>& scalars, const std::vector<double>& weights);

}  // namespace rcnn
