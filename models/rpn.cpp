#include "models/rpn.h"

#include "core/op_observer.h"
#include "layers/logit_difference.h"

namespace rcnn {
namespace {

Tensor anchors_of(Context& ctx, const ModelConfig& config, const std::vector<Var>& maps,
                  const Shape& pixels) {
  check(config.anchor_sizes.size() == maps.size(), "anchors: there are sizes for {} levels, but {} maps",
        config.anchor_sizes.size(), maps.size());
  const bool caffe2015 = config.anchor_cells == "caffe2015";
  const std::vector<int64_t> strides = level_strides(config);
  std::vector<AnchorGrid> levels;
  for (size_t l = 0; l < maps.size(); ++l) {
    const std::vector<float>& sizes = config.anchor_sizes[l];
    const std::vector<float>& ratios = anchor_ratios(config);
    const int64_t h = maps[l].dim(1), w = maps[l].dim(2);
    // py-faster-rcnn uses the stride for which the network is made, torchvision that of the padded batch,
    // in whole pixels.
    const int64_t stride_y = caffe2015 ? strides[l] : pixels[1] / h;
    const int64_t stride_x = caffe2015 ? strides[l] : pixels[2] / w;
    levels.push_back(
        {.h = h,
         .w = w,
         .stride_y = static_cast<float>(stride_y),
         .stride_x = static_cast<float>(stride_x),
         .cell_anchors = caffe2015 ? caffe2015_cell_anchors(sizes, ratios) : cell_anchors(sizes, ratios)});
  }
  return make_anchors(ctx, levels);
}

/// Boxes and scores are f32, whatever the precision of the maps.
std::vector<Tensor> as_f32(const std::vector<Var>& maps) {
  std::vector<Tensor> result;
  for (const Var& map : maps) result.push_back(map.value().cast(DType::f32));
  return result;
}

}  // namespace

/// The deltas of anchors have no weights: they are used as the network predicts them.
BoxCoder anchor_coder(const ModelConfig& config) {
  return {.whole_pixels = config.whole_pixels, .limit_log_scale = config.limit_log_scale};
}

Rpn Rpn::make(Init& init, const ModelConfig& config, int64_t channels, int64_t anchors_per_cell) {
  const auto conv = [&](int64_t outputs, int64_t size) {
    Conv2d layer;
    layer.weight = init.normal({outputs, size, size, channels}, 0.01);
    layer.bias = init.constant({outputs}, 0);
    layer.options.pad = (size - 1) / 2;
    return layer;
  };
  const int64_t scores = config.rpn_scores == "softmax" ? 2 : 1;
  Rpn rpn{conv(channels, 3), conv(scores * anchors_per_cell, 1), conv(anchors_per_cell * 4, 1)};
  rpn.conv.packed = true;
  return rpn;
}

void Rpn::visit(ParamVisitor& visitor) {
  visitor.child("head.conv.0.0", conv);
  visitor.child("head.cls_logits", objectness);
  visitor.child("head.bbox_pred", deltas);
}

RpnOutput rpn_forward(Context& ctx, const Rpn& rpn, const ModelConfig& config, const std::vector<Var>& levels,
                      const Shape& pixels) {
  const LayerScope layer(ctx, "rpn.head");
  RpnOutput output;
  for (const Var& level : levels) {
    const Var hidden = rpn.conv(ctx, level, true);
    const Var scores = rpn.objectness(ctx, hidden);
    output.objectness.push_back(config.rpn_scores == "softmax" ? logit_difference(ctx, scores) : scores);
    output.deltas.push_back(rpn.deltas(ctx, hidden));
  }
  output.anchors = anchors_of(ctx, config, output.objectness, pixels);
  return output;
}

Proposals rpn_proposals(Context& ctx, const ModelConfig& config, const RpnOutput& output,
                        const ImageBatch& images, const GroundTruth* truth, ProposalStages* stages) {
  const LayerScope layer(ctx, "rpn.proposals");
  const bool training = truth != nullptr;
  const RpnPredictions predictions{as_f32(output.objectness), as_f32(output.deltas)};

  const int64_t n = images.size.dim(0);
  const int64_t k = training ? config.rpn_pre_nms_top_n_train : config.rpn_pre_nms_top_n_test;
  const Tensor best = top_k(ctx, n, predictions.scores, k);

  const Candidates candidates =
      decode_proposals(ctx, output.anchors, predictions, best, images.size,
                       {.coder = anchor_coder(config),
                        .min_size = config.rpn_min_size,
                        .min_size_scale = config.rpn_min_size_scaled ? images.scale : Tensor(),
                        .min_score = config.rpn_score_thresh});

  const KeptRows kept =
      nms(ctx, candidates,
          {.threshold = config.rpn_nms_thresh,
           .max_boxes = training ? config.rpn_post_nms_top_n_train : config.rpn_post_nms_top_n_test,
           .whole_pixels = config.whole_pixels});
  if (stages) *stages = {output, best, candidates, kept};

  const BoxList list =
      training ? gather_with_truth(ctx, candidates, kept, *truth) : gather(ctx, candidates, kept);
  return {.boxes = list.boxes, .count = list.count, .scores = list.scores};
}

RpnTargets rpn_targets(Context& ctx, const ModelConfig& config, const Tensor& anchors,
                       const Tensor& image_size, const GroundTruth& truth, Tensor* matching) {
  const LayerScope layer(ctx, "rpn.targets");
  const Tensor matched = match(ctx, anchors, {}, truth,
                               {.high = config.rpn_fg_iou_thresh,
                                .low = config.rpn_bg_iou_thresh,
                                .promote_best = true,
                                .whole_pixels = config.whole_pixels,
                                .image_size = config.rpn_inside_only ? image_size : Tensor()});
  const Tensor labels = sample_labels(ctx, matched, truth,
                                      {.max_rows = config.rpn_batch_size_per_image,
                                       .positive_fraction = config.rpn_positive_fraction,
                                       .purpose = Purpose::rpn_sample});
  if (matching) *matching = matched;
  return {labels, box_deltas(ctx, anchors, matched, truth, anchor_coder(config))};
}

}  // namespace rcnn
