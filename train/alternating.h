// The 4-step alternating training of the paper (section 3.2): four ordinary runs, one after the other.
#pragma once

#include "train/run_options.h"

namespace rcnn {

/// Trains in four parts, with a third, a sixth, a third and a sixth of the steps. Each part goes through the
/// whole schedule of the learning rate:
///
///     out/1-rpn         the RPN, from the initial weights
///     out/2-fast-rcnn   the head, from the same weights, on the proposals of 1; no features are shared yet
///     out/3-rpn         the RPN, from the weights of 2, with backbone and pyramid frozen
///     out               the head, from the weights of 3, likewise frozen, on the proposals of 3
///
/// In the last model both work on the same features. Only this model is evaluated, and `out` has the same
/// files as after joint training. With `resume` finished parts are kept, and the weights at the end are those
/// of a run that was never stopped. Throws what train_detector throws.
void train_alternating(const RunOptions& options);

}  // namespace rcnn
