// Finds where a loss or a gradient that is not finite comes from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/faster_rcnn.h"
#include "train/batch.h"

namespace rcnn {

/// Repeats the forward and backward pass of training step `step` on a batch and says in one sentence without
/// a full stop what is not finite: the loss terms, the first bad tensor (a parameter, the pixels, a box, a
/// layer's output in the order of the forward pass, a parameter's gradient in the order of the backward pass)
/// and the images it comes from. Returns "" when everything is finite. `images` are the names of the batch's
/// images.
///
/// `step` is the number that TrainingStep::run got, and `batch` the same batch, kept or loaded again by its
/// index; if a step took several batches, call it for each. SGD skips a step whose gradient is not finite, so
/// the weights are still those that failed, unless a later step has changed them. Weights and running
/// statistics stay as they are; gradients are cleared. Waits for the device.
std::string explain_non_finite(Context& ctx, FasterRcnn& model, int64_t step, const TrainingBatch& batch,
                               const std::vector<std::string>& images);

}  // namespace rcnn
