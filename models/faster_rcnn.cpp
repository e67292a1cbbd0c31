// The whole detector, as in figure 2 of the paper: shared features, the region proposal network that says
// where objects may be, and the Fast R-CNN head that says what they are.
#include "models/faster_rcnn.h"

#include "core/op_observer.h"
#include "layers/max_pool.h"
#include "layers/sigmoid_cross_entropy.h"
#include "layers/smooth_l1.h"
#include "layers/softmax_cross_entropy.h"
#include "layers/sum.h"

namespace rcnn {
namespace {

int64_t anchors_per_cell(const ModelConfig& config) {
  const size_t levels = level_strides(config).size();
  check_input(config.anchor_sizes.size() == levels,
              "anchor-sizes: {} has {} levels (one list each, ';' between them), found sizes for {}",
              config.backbone, levels, config.anchor_sizes.size());
  for (size_t l = 0; l < levels; ++l)
    check_input(config.anchor_sizes[l].size() == config.anchor_sizes[0].size(),
                "anchor-sizes: every level needs as many sizes as the first, {}; level {} has {}",
                config.anchor_sizes[0].size(), l + 1, config.anchor_sizes[l].size());
  return static_cast<int64_t>(config.anchor_sizes[0].size() * anchor_ratios(config).size());
}

/// The number of channels of the maps that the RPN and the head read.
int64_t channels_of(const Backbone& backbone) {
  return backbone.pyramid_channels > 0 ? backbone.pyramid_channels : backbone.channels.back();
}

std::optional<Fpn> make_pyramid(Init& init, const Backbone& backbone) {
  if (backbone.pyramid_channels == 0) return {};
  return Fpn::make(init, backbone.channels, backbone.pyramid_channels);
}

}  // namespace

FasterRcnn::FasterRcnn(const ModelConfig& c, int64_t object_classes, Init init)
    : config(c),
      classes(object_classes + 1),
      backbone(make_backbone(c, init)),
      fpn(make_pyramid(init, *backbone)),
      rpn(Rpn::make(init, c, channels_of(*backbone), anchors_per_cell(c))),
      head(RoiHead::make(init, c, make_box_head(c, init, channels_of(*backbone)), classes)) {}

std::vector<Var> FasterRcnn::features(Context& ctx, const ImageBatch& images, std::vector<Var>* body) {
  std::vector<Var> maps;
  {
    const LayerScope layer(ctx, "backbone.body");
    maps = (*backbone)(ctx, Var(images.pixels));
  }
  if (body) *body = maps;
  const LayerScope layer(ctx, "backbone.fpn");
  return fpn ? (*fpn)(ctx, maps) : maps;
}

std::vector<Var> FasterRcnn::rpn_levels(Context& ctx, std::vector<Var> levels) const {
  if (backbone->coarser_level) levels.push_back(max_pool(ctx, levels.back(), 1, 2, 0));
  return levels;
}

Losses FasterRcnn::losses(Context& ctx, const ImageBatch& images, const GroundTruth& truth,
                          const std::optional<Samples>& fixed, Samples* taken) {
  return losses_after(ctx, features(ctx, images), images, truth, fixed, taken);
}

Losses FasterRcnn::losses_after(Context& ctx, const std::vector<Var>& levels, const ImageBatch& images,
                                const GroundTruth& truth, const std::optional<Samples>& fixed, Samples* taken,
                                LossStages* stages) {
  const Shape& pixels = images.pixels.shape();
  Proposals proposals = images.proposals;
  Samples samples;
  if (fixed) samples = *fixed;
  Losses losses;
  std::vector<Var> terms;

  if (!proposals.boxes.defined()) {  // the region proposal network
    const RpnOutput output = rpn_forward(ctx, rpn, config, rpn_levels(ctx, levels), pixels);
    if (!fixed)
      samples.rpn =
          rpn_targets(ctx, config, output.anchors, images.size, truth, stages ? &stages->matching : nullptr);
    if (stages) stages->rpn = output;
    if (!fixed && !rpn_alone) proposals = rpn_proposals(ctx, config, output, images, &truth);
    const LayerScope layer(ctx, "losses");
    losses.objectness = sigmoid_cross_entropy(ctx, output.objectness, samples.rpn.labels);
    losses.rpn_box =
        smooth_l1(ctx, output.deltas, 1, samples.rpn.deltas, samples.rpn.labels, config.rpn_smooth_l1_beta);
    terms = {losses.objectness, losses.rpn_box};
  }
  if (!rpn_alone) {  // the Fast R-CNN head
    if (!fixed) samples.rois = sample_rois(ctx, config, proposals, truth);
    const RoiSamples& rois = samples.rois;
    const RoiOutput regions = roi_head_forward(ctx, head, config, levels, rois.rois, rois.count, pixels);
    if (stages) stages->regions = regions;
    const int64_t rows = regions.logits.dim(0);
    const Tensor labels = rois.labels.reshape({rows}), deltas = rois.deltas.reshape({1, rows, 4});
    const LayerScope layer(ctx, "losses");
    losses.classifier = softmax_cross_entropy(ctx, regions.logits, labels);
    losses.box = smooth_l1(ctx, {regions.deltas}, regions.deltas.dim(1) / 4, deltas, labels,
                           config.box_smooth_l1_beta);
    terms.insert(terms.end(), {losses.classifier, losses.box});
  }
  if (taken) *taken = samples;
  const LayerScope layer(ctx, "losses");
  losses.total = weighted_sum(ctx, terms, std::vector<double>(terms.size(), 1));
  return losses;
}

Proposals FasterRcnn::propose(Context& ctx, const ImageBatch& images, const std::vector<Var>& levels,
                              ProposalStages* stages) {
  if (images.proposals.boxes.defined()) return images.proposals;
  const RpnOutput output = rpn_forward(ctx, rpn, config, rpn_levels(ctx, levels), images.pixels.shape());
  return rpn_proposals(ctx, config, output, images, nullptr, stages);
}

Proposals FasterRcnn::propose(Context& ctx, const ImageBatch& images) {
  const InferenceMode mode(ctx);
  return propose(ctx, images, features(ctx, images));
}

RpnOutput FasterRcnn::predict_anchors(Context& ctx, const ImageBatch& images) {
  const InferenceMode mode(ctx);
  return rpn_forward(ctx, rpn, config, rpn_levels(ctx, features(ctx, images)), images.pixels.shape());
}

Detections FasterRcnn::detections(Context& ctx, const ImageBatch& images, DetectionTrace* trace) {
  DetectionStages* stages = trace ? trace->stages : nullptr;
  RoiStages* of_head = stages ? &stages->head : nullptr;
  const std::vector<Var> levels = features(ctx, images, stages ? &stages->body : nullptr);
  if (stages) stages->levels = levels;
  const Proposals proposals = propose(ctx, images, levels, stages ? &stages->rpn : nullptr);
  const RoiOutput regions = roi_head_forward(ctx, head, config, levels, proposals.boxes, proposals.count,
                                             images.pixels.shape(), of_head);
  if (trace) trace->proposals = proposals;
  return roi_detections(ctx, config, regions, proposals, images.size, trace ? &trace->before_nms : nullptr,
                        of_head);
}

Detections FasterRcnn::detect(Context& ctx, const ImageBatch& images, DetectionTrace* trace) {
  const InferenceMode mode(ctx);
  return detections(ctx, images, trace);
}

void FasterRcnn::visit(ParamVisitor& visitor) {
  visitor.child("backbone.body", *backbone);
  if (fpn) visitor.child("backbone.fpn", *fpn);
  visitor.child("rpn", rpn);
  visitor.child("roi_heads", head);
}

}  // namespace rcnn
