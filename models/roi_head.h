// The Fast R-CNN head (Girshick 2015): what each region of interest shows, and its box made exact.
#pragma once

#include <memory>
#include <vector>

#include "models/box_head.h"
#include "models/ground_truth.h"
#include "models/rpn.h"

namespace rcnn {

/// RoIs that train the head, S an image, in fixed capacity; constants to autograd.
struct RoiSamples {
  Tensor rois;     // (N, S, 4) f32, padded with 0
  Tensor count;    // (N) i32: RoIs that are not padding
  Tensor labels;   // (N, S) i32: class, 0 background, -1 padding
  Tensor offsets;  // (N, S, 4) f32, for foreground RoIs
};

/// Detections of a batch, best first, in pixels of the network's input.
struct Detections {
  Tensor boxes;   // (N, D, 4) f32, padded with 0
  Tensor scores;  // (N, D) f32
  Tensor labels;  // (N, D) i32: class, -1 padding
  Tensor count;   // (N) i32
};

/// Every class's box of every proposal, before NMS, in pixels of the network's input. The rows in use are
/// those with a label of 1 or more (see kernels/boxes/class_boxes.h).
struct ClassBoxes {
  Tensor boxes;   // (N, R (C - 1), 4) f32
  Tensor scores;  // (N, R (C - 1)) f32
  Tensor labels;  // (N, R (C - 1)) i32: class, -1 unused
};

struct RoiHead {
  std::unique_ptr<BoxHead> body;
  Linear classes, offsets;

  static RoiHead make(Init& init, const ModelConfig& config, std::unique_ptr<BoxHead> body,
                      int64_t class_count);
  void visit(ParamVisitor& visitor);
};

/// What the head says of each RoI.
struct RoiOutput {
  Var logits;   // (N R, C)
  Var offsets;  // (N R, C 4), or (N R, 4) for all classes alike
};

/// Picks a balanced sample among the proposals and says what each is.
RoiSamples sample_rois(Context& ctx, const ModelConfig& config, const Proposals& proposals,
                       const GroundTruth& truth);
/// Pools each RoI from its level: (N R, bins, bins, C).
Var pool_rois(Context& ctx, const ModelConfig& config, const std::vector<Var>& levels, const Tensor& rois,
              const Tensor& count, const Shape& image);
/// Pools each RoI and classifies it. `image` (N, H, W, 3) gives the levels' scales.
RoiOutput roi_head_forward(Context& ctx, RoiHead& head, const ModelConfig& config,
                           const std::vector<Var>& levels, const Tensor& rois, const Tensor& count,
                           const Shape& image);
/// Boxes of every class, suppressed class by class. `before_nms`, when given, receives what there was to
/// suppress.
Detections roi_detections(Context& ctx, const ModelConfig& config, const RoiOutput& output,
                          const Proposals& proposals, const Tensor& image_size,
                          ClassBoxes* before_nms = nullptr);

}  // namespace rcnn
