// Region proposal network (Ren et al., "Faster R-CNN", section 3.1): for every anchor of every cell of every
// level, whether it holds an object, and the deltas that move it onto that object.
#pragma once

#include <vector>

#include "layers/box_targets.h"
#include "layers/boxes.h"
#include "layers/conv2d.h"
#include "models/config.h"
#include "models/image_batch.h"

namespace rcnn {

/// What the network predicts, one map per level, and the anchors that the predictions are for.
struct RpnOutput {
  std::vector<Var> objectness;  // (N, H, W, A): logits
  std::vector<Var> deltas;      // (N, H, W, A 4)
  Tensor anchors;               // (sum of H W A, 4) f32, in the order of the maps
};

/// What the RPN should predict. Constants to autograd.
struct RpnTargets {
  Tensor labels;  // (N, anchors) i32: 1 object, 0 background, -1 not sampled
  Tensor deltas;  // (N, anchors, 4) f32, for anchors of label 1
};

/// What the steps from predictions to proposals computed, for explaining a detection.
struct ProposalStages {
  RpnOutput output;
  Tensor rows;            // (N, levels, k) i32: the result of `top_k`
  Candidates candidates;  // the boxes that NMS chose from
  KeptRows kept;
};

struct Rpn {
  Conv2d conv, objectness, deltas;

  static Rpn make(Init& init, const ModelConfig& config, int64_t channels, int64_t anchors_per_cell);
  void visit(ParamVisitor& visitor);
};

/// Runs the shared head on every level and makes the anchors, for a batch of shape `pixels` (N, H, W, 3).
RpnOutput rpn_forward(Context& ctx, const Rpn& rpn, const ModelConfig& config, const std::vector<Var>& levels,
                      const Shape& pixels);
/// The best boxes after NMS, with their scores. In training (if `truth` is given) the ground truth is
/// appended to them, and there are no scores. `stages` receives what led to them.
Proposals rpn_proposals(Context& ctx, const ModelConfig& config, const RpnOutput& output,
                        const ImageBatch& images, const GroundTruth* truth, ProposalStages* stages = nullptr);
/// Matches the anchors with the ground truth and samples a balanced batch of them. `image_size` is (N, 2),
/// height and width. `matching` receives the result of `match`.
RpnTargets rpn_targets(Context& ctx, const ModelConfig& config, const Tensor& anchors,
                       const Tensor& image_size, const GroundTruth& truth, Tensor* matching = nullptr);
/// How the RPN's deltas move anchors.
BoxCoder anchor_coder(const ModelConfig& config);

}  // namespace rcnn
