// From a batch of loaded images to the input of the model.
#pragma once

#include "core/context.h"
#include "data/loader.h"
#include "layers/box_targets.h"
#include "models/config.h"
#include "models/image_batch.h"

namespace rcnn {

struct TrainingBatch {
  ImageBatch images;
  GroundTruth truth;
};

/// Preprocesses the images on the context's device and scales their boxes with them. Ignored objects are left
/// out. If the dataset has proposals, the batch gets the best `rpn-post-nms-top-n-train` of each image,
/// followed by the ground truth as in joint training.
TrainingBatch make_training_batch(Context& ctx, const ModelConfig& config, const Batch& batch);

}  // namespace rcnn
