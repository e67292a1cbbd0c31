// Where a loss or a gradient that is not finite came from.
#pragma once

#include <string>
#include <vector>

#include "core/context.h"
#include "models/faster_rcnn.h"
#include "train/batch.h"

namespace rcnn {

/// Runs the step with counter `step` once more on `batch`, forward and backward, and says in a sentence what
/// is the first that is not finite: a parameter or statistic by its name, an image's pixels or boxes, the
/// output of a layer, or a parameter's gradient; with the loss term concerned, and the images that cause it
/// by themselves. Empty where all is finite. `images` names the batch's images. Parameters, statistics and
/// gradients are left as they were found (gradients: none).
std::string explain_non_finite(Context& ctx, FasterRcnn& model, const TrainingBatch& batch, int64_t step,
                               const std::vector<std::string>& images);

}  // namespace rcnn
