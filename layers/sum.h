#pragma once

#include <vector>

#include "core/autograd.h"

namespace rcnn {

/// sum_i weights[i] scalars[i], a scalar: adds up the terms of a loss. Every term has one element; at most
/// kernels::kMaxTerms of them. Saves nothing.
Var weighted_sum(Context& ctx, const std::vector<Var>& scalars, const std::vector<double>& weights);

}  // namespace rcnn
