// What goes into a detector: a batch of images and, in training, the objects on them.
#pragma once

#include "core/tensor.h"

namespace rcnn {

/// Boxes for the head, in fixed capacity, in pixels of the network's input.
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

/// Objects of a batch, in fixed capacity: G is a power of two, at least the largest number of objects on one
/// image.
struct GroundTruth {
  Tensor boxes;     // (N, G, 4) f32, pixels of the network's input
  Tensor labels;    // (N, G) i32, 1 and up
  Tensor count;     // (N) i32: objects that are not padding
  Tensor image_id;  // (N) i32: what keys the random sampling of each image
};

}  // namespace rcnn
