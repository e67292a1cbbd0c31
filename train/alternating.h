// The paper's 4-step alternating training (section 3.2): four ordinary runs, one after the other.
#pragma once

#include "train/run_options.h"

namespace rcnn {

/// Trains with a third, a sixth, a third and a sixth of the steps, each part with the whole schedule of the
/// learning rate:
///
///     out/1-rpn         the RPN, from the initial weights
///     out/2-fast-rcnn   the head, from the same weights, on the proposals of 1: nothing is shared yet
///     out/3-rpn         the RPN, from the weights of 2, backbone and pyramid frozen
///     out               the head, from the weights of 3, backbone and pyramid frozen, on the proposals of 3
///
/// The last model has both on the same features: it alone is watched and judged, and `out` is left as a joint
/// run leaves it. With `resume` what is done stays, and the run ends with the weights of one that never
/// stopped. Throws as train_detector does.
void train_alternating(const RunOptions& options);

}  // namespace rcnn
