// Faster R-CNN (Ren, He, Girshick, Sun, arXiv:1506.01497).
#pragma once

#include <memory>
#include <optional>

#include "models/backbones.h"
#include "models/fpn.h"
#include "models/roi_head.h"
#include "models/rpn.h"

namespace rcnn {

/// The four terms of the loss and their sum, one element each. Terms of a part that was not run are
/// undefined, and are not in the sum.
struct Losses {
  Var objectness, rpn_box, classifier, box, total;
};

/// A member of Losses, with its key in files and its name in texts.
struct LossTerm {
  const char* key;
  const char* words;
  Var Losses::*value;
};
/// The total, followed by its terms. All code that handles each loss of a step iterates over this table.
inline constexpr LossTerm kLosses[] = {{"loss", "total", &Losses::total},
                                       {"rpn_cls", "RPN objectness", &Losses::objectness},
                                       {"rpn_box", "RPN box", &Losses::rpn_box},
                                       {"cls", "head class", &Losses::classifier},
                                       {"box", "head box", &Losses::box}};

/// What one training pass sampled: the anchors and RoIs that count, and their targets. Constants to
/// autograd. Given to a second pass, they keep every discrete choice the same, for gradient checks and for
/// comparing devices.
struct Samples {
  RpnTargets rpn;
  RoiSamples rois;
};

/// What each stage of a detection computed: the tensors of the forward pass itself. They hold about twice
/// the memory of the maps.
struct DetectionStages {
  std::vector<Var> body;    // the backbone's own maps, finest first
  std::vector<Var> levels;  // the maps from which RoIs are pooled: after the pyramid, if there is one
  ProposalStages rpn;       // empty if the batch has proposals
  RoiStages head;
};

/// The intermediate results of a detection, which tell why an object was not found.
struct DetectionTrace {
  Proposals proposals;
  Candidates before_nms;              // the box of every class for every proposal; the group is the class
  DetectionStages* stages = nullptr;  // if set, receives every stage as well
};

/// The same for the losses of a batch, of which the samples are a part.
struct LossStages {
  RpnOutput rpn;
  Tensor matching;  // (N, anchors) i32, of `match`: the object, -1 background, -2 ignored
  RoiOutput regions;
};

struct FasterRcnn {
  ModelConfig config;
  int64_t classes;  // with the background, class 0
  std::unique_ptr<Backbone> backbone;
  std::optional<Fpn> fpn;  // none: the head and the RPN read the backbone's own map
  Rpn rpn;
  RoiHead head;
  bool rpn_alone = false;  // `losses` computes only the losses of the RPN, and the head is not run

  /// A model with initial values; `object_classes` does not include the background.
  FasterRcnn(const ModelConfig& config, int64_t object_classes, Init init);

  /// The losses of a batch: only the head's if the batch has proposals, only the RPN's if `rpn_alone`. With
  /// `fixed`, nothing is proposed, matched or sampled. `taken` receives the samples that were used.
  Losses losses(Context& ctx, const ImageBatch& images, const GroundTruth& truth,
                const std::optional<Samples>& fixed = {}, Samples* taken = nullptr);
  /// The same after the backbone: `levels` are the results of `features`, or copies of them that collect
  /// gradients. `stages` receives the predictions.
  Losses losses_after(Context& ctx, const std::vector<Var>& levels, const ImageBatch& images,
                      const GroundTruth& truth, const std::optional<Samples>& fixed = {},
                      Samples* taken = nullptr, LossStages* stages = nullptr);
  /// The maps from which RoIs are pooled, finest first. `body` receives the backbone's own maps.
  std::vector<Var> features(Context& ctx, const ImageBatch& images, std::vector<Var>* body = nullptr);
  /// The batch's own proposals if it has some, otherwise the RPN's. Runs in InferenceMode, whatever the
  /// context's mode.
  Proposals propose(Context& ctx, const ImageBatch& images);
  /// What the RPN predicts for each anchor, before any of them is selected: the part of a detection that
  /// computes whole maps. Runs in InferenceMode, whatever the context's mode.
  RpnOutput predict_anchors(Context& ctx, const ImageBatch& images);
  /// The objects found in each image. Runs in InferenceMode, whatever the context's mode. `trace` receives
  /// the intermediate results.
  Detections detect(Context& ctx, const ImageBatch& images, DetectionTrace* trace = nullptr);
  /// The same, but in the context's mode instead of InferenceMode. Used to observe the graph
  /// (models/summary.cpp).
  Detections detections(Context& ctx, const ImageBatch& images, DetectionTrace* trace = nullptr);
  /// Every parameter and buffer under torchvision's name.
  void visit(ParamVisitor& visitor);

 private:
  /// The maps with anchors: the same and, for some backbones, a coarser one.
  std::vector<Var> rpn_levels(Context& ctx, std::vector<Var> levels) const;
  Proposals propose(Context& ctx, const ImageBatch& images, const std::vector<Var>& levels,
                    ProposalStages* stages = nullptr);
};

}  // namespace rcnn
