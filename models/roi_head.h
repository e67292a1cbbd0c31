// The Fast R-CNN head (Girshick 2015): classifies each region of interest (RoI) and refines its box.
#pragma once

#include <memory>
#include <vector>

#include "layers/box_targets.h"
#include "layers/boxes.h"
#include "models/box_head.h"
#include "models/image_batch.h"
#include "models/rpn.h"

namespace rcnn {

/// Detections of a batch, best first, in pixels of the network's input.
struct Detections {
  Tensor boxes;   // (N, D, 4) f32, padded with 0
  Tensor scores;  // (N, D) f32
  Tensor labels;  // (N, D) i32: class, -1 padding
  Tensor count;   // (N) i32
};

struct RoiHead {
  std::unique_ptr<BoxHead> body;
  Linear classes, deltas;

  static RoiHead make(Init& init, const ModelConfig& config, std::unique_ptr<BoxHead> body,
                      int64_t class_count);
  void visit(ParamVisitor& visitor);
};

/// What the head predicts for each RoI.
struct RoiOutput {
  Var logits;  // (N R, C)
  Var deltas;  // (N R, C 4), or (N R, 4) that all classes share
};

/// What the steps from RoIs to detections computed, for explaining a detection.
struct RoiStages {
  Var pooled;  // (N R, bins, bins, C)
  RoiOutput output;
  Tensor probabilities;  // (N R, C) f32
  KeptRows kept;         // rows of the boxes before NMS
};

/// Draws a balanced sample of the proposals, each with its class and the deltas onto its object.
RoiSamples sample_rois(Context& ctx, const ModelConfig& config, const Proposals& proposals,
                       const GroundTruth& truth);
/// Feature pixels per image pixel of each level, for a batch of the shape `image` (N, H, W, 3).
std::vector<float> pooling_scales(const std::vector<Var>& levels, const Shape& image);
/// Pools each RoI from its level: (N R, bins, bins, C).
Var pool_rois(Context& ctx, const ModelConfig& config, const std::vector<Var>& levels, const Tensor& rois,
              const Tensor& count, const Shape& image);
/// Pools each RoI and classifies it. The levels' scales follow from `image`, the batch's shape (N, H, W, 3).
/// `stages` receives the pooled maps and what is returned.
RoiOutput roi_head_forward(Context& ctx, RoiHead& head, const ModelConfig& config,
                           const std::vector<Var>& levels, const Tensor& rois, const Tensor& count,
                           const Shape& image, RoiStages* stages = nullptr);
/// The boxes of every class after NMS within each class. `before_nms` receives the boxes before NMS, `stages`
/// the probabilities and the rows that NMS kept.
Detections roi_detections(Context& ctx, const ModelConfig& config, const RoiOutput& output,
                          const Proposals& proposals, const Tensor& image_size,
                          Candidates* before_nms = nullptr, RoiStages* stages = nullptr);
/// How the head's deltas move RoIs.
BoxCoder roi_coder(const ModelConfig& config);

}  // namespace rcnn
