// The input of a detector: a batch of images and, optionally, proposals.
#pragma once

#include "core/tensor.h"

namespace rcnn {

/// The boxes that the head pools, in fixed capacity: those that the RPN proposed (see layers/boxes.h) or that
/// a file gives. In training the ground truth follows them.
struct Proposals {
  Tensor boxes;        // (N, P, 4) f32, padded with 0
  Tensor count;        // (N) i32
  Tensor scores = {};  // (N, P) f32: logits, best first; undefined in training and for given boxes
};

/// A batch in pixels of the network's input.
struct ImageBatch {
  Tensor pixels;      // (N, H, W, 3), normalised, padded with 0
  Tensor size;        // (N, 2) f32: height and width of each image without its padding
  Tensor scale = {};  // (N) f32: the factor by which each image was resized; undefined: 1
  /// Given proposals (Fast R-CNN), in training with the ground truth. Undefined: the RPN makes them.
  Proposals proposals = {};
};

}  // namespace rcnn
