// What goes into a detector: a batch of images, and optionally the boxes to look at.
#pragma once

#include "core/tensor.h"

namespace rcnn {

/// Boxes for the head (see layers/boxes.h), in fixed capacity.
struct Proposals {
  Tensor boxes;        // (N, P, 4) f32, padded with 0
  Tensor count;        // (N) i32
  Tensor scores = {};  // (N, P) f32: logits, best first; undefined in training and where the boxes were given
};

/// A batch in the network's own pixels.
struct ImageBatch {
  Tensor pixels;      // (N, H, W, 3), normalised, padded with 0
  Tensor size;        // (N, 2) f32: height and width of each image without its padding
  Tensor scale = {};  // (N) f32: by which each image was resized; undefined: 1
  /// Fast R-CNN: where to look, the ground truth included in training. Undefined: the RPN proposes.
  Proposals proposals = {};
};

}  // namespace rcnn
