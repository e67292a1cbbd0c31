// The passes over memory that batch norm and group norm are made of, in float, for the CPU.
//
// Both normalise segments, (rows, C) arrays that lie one behind the other: batch norm the whole batch as one,
// group norm every image. Values that belong to a channel stand in (segments, C) arrays.
//
// Technique: rows of C channels are contiguous, so `fold` of them can be seen as one wide row of fold * C
// lanes, and lane l belongs to channel l % C. With at least 128 lanes the inner loops are long enough to
// vectorise for any C, 1 and 3 included, and no sum waits for the one before it. A chunk of rows stays in the
// second-level cache, so a function may look at it twice and still read memory once. Bottleneck: memory.
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

struct Segments {
  int64_t count, rows, c;
};

/// mean (segments, C) of each channel and `squares` (segments, C), the sum of the squared distances from it.
/// A chunk's squares are taken about the chunk's own mean and chunks are combined in double, in order, so
/// nothing cancels where the mean is large. Both are 0 where there are no rows.
void channel_moments(Workspace& workspace, const Segments& s, const float* x, double* mean, double* squares);

/// y = relu?((x - mean) scale + bias + residual). `residual` may be null; mean, scale, bias are (segments,
/// C).
void normalize_rows(Workspace& workspace, const Segments& s, const float* x, const float* mean,
                    const float* scale, const float* bias, const float* residual, bool relu, float* y);

/// Where the gradient comes from: g = dy where y > 0, else 0; dy itself where y is null.
struct GatedGradient {
  const float* y;
  const float* dy;
};

/// sum = sum over rows of g and moment = sum of g (x - mean), both (segments, C); also writes g to
/// `dresidual` unless that is null.
void gradient_sums(Workspace& workspace, const Segments& s, const float* x, const float* mean,
                   GatedGradient gradient, float* dresidual, Accumulate accumulate_residual, double* sum,
                   double* moment);

/// dx = scale g + slope (x - mean) + offset, where scale, slope, offset and mean are (segments, C).
struct GradientLine {
  const float* scale;
  const float* slope;
  const float* offset;
};
void gradient_rows(Workspace& workspace, const Segments& s, const float* x, const float* mean,
                   GatedGradient gradient, const GradientLine& line, float* dx, Accumulate accumulate);

}  // namespace rcnn::kernels
