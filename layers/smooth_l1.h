#pragma once

#include <vector>

#include "core/autograd.h"

namespace rcnn {

/// Smooth L1 loss (a scalar) of box deltas: the sum over rows with label > 0, divided by the number of rows
/// with label >= 0 (by 1 if there are none). Each level's prediction holds (N, rows of the level, columns, 4)
/// elements in this order, under any shape: (N, H, W, A 4), or (R, classes 4) for a single level. Row r reads
/// column labels[r], or column 0 if there is only one. `targets` (N, rows of all levels, 4) is f32; `labels`
/// is i32 (N, rows), or (rows) for a single level; `beta` is the difference at which the parabola ends, 0 for
/// plain L1. Saves predictions, targets and labels for backward. See kernels/loss/smooth_l1.h.
Var smooth_l1(Context& ctx, const std::vector<Var>& prediction, int64_t columns, const Tensor& targets,
              const Tensor& labels, float beta);

}  // namespace rcnn
