// Where a loss or a gradient that is not finite comes from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/faster_rcnn.h"
#include "train/batch.h"

namespace rcnn {

/// Repeats the forward and backward pass of training step `step` on a batch and names what is not finite: the
/// loss terms, the first bad tensor (a parameter, the pixels, a box, a layer's output in the order of the
/// forward pass, a parameter's gradient in that of the backward pass) and the images it comes from, one or
/// more clauses without a full stop. "" when everything is finite. `images` names the batch's images.
///
/// The caller keeps the batch, or its index in the loader's stream, which makes it again, and the number that
/// it gave to TrainingStep::run; where a step took several batches it asks for each. SGD skips a step whose
/// gradient is not finite, so the weights are still those that failed, if no later step has moved them.
/// Weights and running statistics stay as they are; gradients are forgotten. Waits for the device.
std::string explain_non_finite(Context& ctx, FasterRcnn& model, int64_t step, const TrainingBatch& batch,
                               const std::vector<std::string>& images);

}  // namespace rcnn
