#pragma once

#include <vector>

#include "core/autograd.h"

namespace rcnn {

/// Smooth L1 loss (a scalar) of box offsets: the sum over rows with label > 0, divided by the number of rows
/// with label >= 0 (by 1 when there are none). Each level's prediction holds (N, rows of the level, columns,
/// 4) elements in this order, under any shape: (N, H, W, A 4), or for one level (R, classes 4). Row r reads
/// column labels[r], or column 0 when there is but one. `targets` (N, rows of all levels, 4) is f32, `labels`
/// i32 (N, rows), or (rows) for a single level; `beta` is where the parabola ends, 0 for plain L1. Saves
/// predictions, targets and labels. See kernels/loss/smooth_l1.h.
Var smooth_l1(Context& ctx, const std::vector<Var>& prediction, int64_t columns, const Tensor& targets,
              const Tensor& labels, float beta);

}  // namespace rcnn
