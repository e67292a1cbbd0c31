// A loaded batch as the model's input.
#pragma once

#include "core/context.h"
#include "data/loader.h"
#include "models/config.h"
#include "models/ground_truth.h"

namespace rcnn {

struct TrainingBatch {
  ImageBatch images;
  GroundTruth truth;
};

/// Preprocesses the images on the context's device and scales their boxes along. Ignored objects are left
/// out.
TrainingBatch make_training_batch(Context& ctx, const ModelConfig& config, const Batch& batch);

}  // namespace rcnn
