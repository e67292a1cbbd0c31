// The passes over memory that make up batch norm and group norm, in float, for the CPU.
//
// Both normalise segments, which are (rows, C) arrays, one after the other: for batch norm the whole
// batch is one segment, for group norm each image is one. Values that belong to a channel are kept in
// (segments, C) arrays.
//
// Technique: rows of C channels are contiguous, so `fold` of them can be seen as one wide row of fold * C
// lanes, where lane l belongs to channel l % C. With at least 128 lanes the inner loops are long enough to
// vectorise for any C, even 1 and 3, and no sum waits for the one before it. A chunk of rows stays in the
// second-level cache, so a function may go over it twice and still read memory once. Bottleneck: memory.
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

struct Segments {
  int64_t count, rows, c;
};

/// The mean (segments, C) of each channel, and in `squares` (segments, C) the sum of the squared distances
/// from it. The squares of a chunk are taken about the chunk's own mean, and chunks are combined in double,
/// in order, so a large mean causes no cancellation. Both are 0 if there are no rows.
void channel_moments(Workspace& workspace, const Segments& s, const float* x, double* mean, double* squares);

/// y = (x - mean) scale + bias + residual, then a ReLU if `relu`. `residual` may be null; mean, scale and
/// bias are (segments, C).
void normalize_rows(Workspace& workspace, const Segments& s, const float* x, const float* mean,
                    const float* scale, const float* bias, const float* residual, bool relu, float* y);

/// The gradient in front of the ReLU: g = dy where y > 0, else 0; dy itself if y is null.
struct GatedGradient {
  const float* y;
  const float* dy;
};

/// sum = sum over rows of g and moment = sum over rows of g (x - mean), both (segments, C). Also writes g to
/// `dresidual`, or adds it, unless that is null.
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
