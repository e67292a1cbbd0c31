#include "models/roi_head.h"

#include <algorithm>
#include <cmath>

#include "core/op_observer.h"
#include "layers/roi_align.h"
#include "layers/roi_pool.h"
#include "layers/softmax.h"

namespace rcnn {
namespace {

/// Feature pixels per image pixel. As in torchvision this is rounded to the nearest power of two, so that
/// padding does not shift it.
float scale_of(int64_t map, int64_t image) {
  return std::exp2(std::round(std::log2(static_cast<float>(map) / static_cast<float>(image))));
}

}  // namespace

BoxCoder roi_coder(const ModelConfig& config) {
  const Levels& weights = config.bbox_reg_weights;
  check_input(weights.size() == 1 && weights[0].size() == 4,
              "bbox-reg-weights: expected one list of four numbers, found {}", format_value(weights));
  return {.weights = {weights[0][0], weights[0][1], weights[0][2], weights[0][3]},
          .whole_pixels = config.whole_pixels,
          .limit_log_scale = config.limit_log_scale};
}

RoiHead RoiHead::make(Init& init, const ModelConfig& config, std::unique_ptr<BoxHead> body,
                      int64_t class_count) {
  RoiHead head;
  head.classes = Linear::make(init, body->features, class_count);
  head.deltas = Linear::make(init, body->features, config.box_class_agnostic ? 4 : class_count * 4);
  if (config.box_init == "normal") {  // as in the papers
    const auto normal = [&](Linear& layer, double deviation) {
      layer.weight = init.normal(layer.weight.shape(), deviation);
      layer.bias = init.constant(layer.bias.shape(), 0);
    };
    normal(head.classes, 0.01);
    normal(head.deltas, 0.001);
  }
  head.body = std::move(body);
  return head;
}

void RoiHead::visit(ParamVisitor& visitor) {
  visitor.child("box_head", *body);
  visitor.child("box_predictor.cls_score", classes);
  visitor.child("box_predictor.bbox_pred", deltas);
}

RoiSamples sample_rois(Context& ctx, const ModelConfig& config, const Proposals& proposals,
                       const GroundTruth& truth) {
  const LayerScope layer(ctx, "roi_heads.targets");
  const Tensor matched = match(ctx, proposals.boxes, proposals.count, truth,
                               {.high = config.box_fg_iou_thresh,
                                .low = config.box_bg_iou_thresh,
                                .promote_best = false,
                                .whole_pixels = config.whole_pixels});
  const SampledRows sampled = sample_rows(ctx, matched, truth,
                                          {.max_rows = config.box_batch_size_per_image,
                                           .positive_fraction = config.box_positive_fraction,
                                           .purpose = Purpose::roi_sample});
  return select_rois(ctx, proposals.boxes, matched, sampled, truth, roi_coder(config));
}

std::vector<float> pooling_scales(const std::vector<Var>& levels, const Shape& image) {
  std::vector<float> scales;
  for (const Var& level : levels) scales.push_back(scale_of(level.dim(1), image[1]));
  return scales;
}

Var pool_rois(Context& ctx, const ModelConfig& config, const std::vector<Var>& levels, const Tensor& rois,
              const Tensor& count, const Shape& image) {
  const int64_t bins = config.box_pool_size;
  const auto canonical_level = static_cast<int>(config.box_canonical_level);
  const std::vector<float> scales = pooling_scales(levels, image);
  check_choice("box-pooling", config.box_pooling, "roi-align|roi-pool");
  if (config.box_pooling == "roi-pool")
    return roi_pool(ctx, levels, rois, count,
                    {.height = bins,
                     .width = bins,
                     .scales = scales,
                     .canonical_size = config.box_canonical_size,
                     .canonical_level = canonical_level});
  return roi_align(ctx, levels, rois, count,
                   {.height = bins,
                    .width = bins,
                    .sampling = static_cast<int>(config.box_sampling_ratio),
                    .scales = scales,
                    .canonical_size = config.box_canonical_size,
                    .canonical_level = canonical_level});
}

RoiOutput roi_head_forward(Context& ctx, RoiHead& head, const ModelConfig& config,
                           const std::vector<Var>& levels, const Tensor& rois, const Tensor& count,
                           const Shape& image, RoiStages* stages) {
  const LayerScope layer(ctx, "roi_heads");
  const Var pooled = pool_rois(ctx, config, levels, rois, count, image);
  const Var hidden = (*head.body)(ctx, pooled);
  const RoiOutput output{head.classes(ctx, hidden), head.deltas(ctx, hidden)};
  if (stages) stages->pooled = pooled, stages->output = output;
  return output;
}

Detections roi_detections(Context& ctx, const ModelConfig& config, const RoiOutput& output,
                          const Proposals& proposals, const Tensor& image_size, Candidates* before_nms,
                          RoiStages* stages) {
  const LayerScope layer(ctx, "roi_heads.detections");
  const Tensor probabilities = softmax(ctx, output.logits.value()).cast(DType::f32);
  const Tensor deltas = output.deltas.value().cast(DType::f32);
  const Candidates candidates = class_boxes(
      ctx, probabilities, deltas, proposals.boxes, proposals.count, image_size,
      {.coder = roi_coder(config), .min_score = config.box_score_thresh, .min_size = config.box_min_size});
  if (before_nms) *before_nms = candidates;
  const KeptRows kept = nms(ctx, candidates,
                            {.threshold = config.box_nms_thresh,
                             .max_boxes = config.box_detections_per_img,
                             .whole_pixels = config.whole_pixels});
  if (stages) stages->probabilities = probabilities, stages->kept = kept;
  const BoxList list = gather(ctx, candidates, kept);
  return {.boxes = list.boxes, .scores = list.scores, .labels = list.group, .count = list.count};
}

}  // namespace rcnn
