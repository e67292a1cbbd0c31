// Faster R-CNN (Ren, He, Girshick, Sun, arXiv:1506.01497).
#pragma once

#include <memory>
#include <optional>

#include "models/backbones.h"
#include "models/fpn.h"
#include "models/roi_head.h"
#include "models/rpn.h"

namespace rcnn {

/// The four terms of the loss and their sum; each has one element. Those of a part that was not run are
/// undefined.
struct Losses {
  Var objectness, rpn_box, classifier, box, total;
};

/// A member of Losses, with its key in files and its name in texts.
struct LossTerm {
  const char* key;
  const char* words;
  Var Losses::*value;
};
/// The total, then its terms. Everything that goes through the losses of a step walks this table.
inline constexpr LossTerm kLosses[] = {{"loss", "total", &Losses::total},
                                       {"rpn_cls", "RPN objectness", &Losses::objectness},
                                       {"rpn_box", "RPN box", &Losses::rpn_box},
                                       {"cls", "head class", &Losses::classifier},
                                       {"box", "head box", &Losses::box}};

/// What training sampled in one pass: which anchors and RoIs count, and their targets. Constants to autograd;
/// given to a second pass they hold everything discrete fixed, for gradient checks and for comparing devices.
struct Samples {
  RpnTargets rpn;
  RoiSamples rois;
};

/// What detection looked at on its way, for whoever asks why an object was not found.
struct DetectionTrace {
  Proposals proposals;
  Candidates before_nms;  // every class's box of every proposal; the group is the class
};

struct FasterRcnn {
  ModelConfig config;
  int64_t classes;  // with the background, class 0
  std::unique_ptr<Backbone> backbone;
  std::optional<Fpn> fpn;  // none: head and RPN read the backbone's own map
  Rpn rpn;
  RoiHead head;
  bool rpn_alone = false;  // `losses` are the RPN's, and the head is not run

  /// A model with initial values; `object_classes` does not count the background.
  FasterRcnn(const ModelConfig& config, int64_t object_classes, Init init);

  /// The losses of a batch; of the head alone where the batch has proposals, of the RPN alone with
  /// `rpn_alone`. With `fixed` nothing is proposed, matched or sampled; `taken` receives what was used.
  Losses losses(Context& ctx, const ImageBatch& images, const GroundTruth& truth,
                const std::optional<Samples>& fixed = {}, Samples* taken = nullptr);
  /// Where objects may be: the batch's own proposals, else the RPN's. In InferenceMode, whatever the context
  /// is set to.
  Proposals propose(Context& ctx, const ImageBatch& images);
  /// What is on each image. In InferenceMode, whatever the context is set to. `trace` receives what was
  /// looked at.
  Detections detect(Context& ctx, const ImageBatch& images, DetectionTrace* trace = nullptr);
  /// The same in the mode that the context is in: what an observer of the graph needs (models/summary.cpp).
  Detections detections(Context& ctx, const ImageBatch& images, DetectionTrace* trace = nullptr);
  /// Every parameter and buffer under torchvision's name.
  void visit(ParamVisitor& visitor);

 private:
  /// The maps that RoIs are pooled from, finest first.
  std::vector<Var> features(Context& ctx, const ImageBatch& images);
  /// Those with anchors: the same and, with some backbones, a coarser one.
  std::vector<Var> rpn_levels(Context& ctx, std::vector<Var> levels) const;
  Proposals propose(Context& ctx, const ImageBatch& images, const std::vector<Var>& levels);
};

}  // namespace rcnn
