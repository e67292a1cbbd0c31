#include "models/roi_head.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/boxes/class_boxes.h"
#include "kernels/boxes/gather_boxes.h"
#include "kernels/boxes/match.h"
#include "kernels/boxes/nms.h"
#include "kernels/boxes/sample.h"
#include "kernels/boxes/select_rois.h"
#include "layers/roi_align.h"
#include "layers/roi_pool.h"
#include "layers/softmax.h"

namespace rcnn {
namespace {

void copy_box_weights(const ModelConfig& config, float* to) {
  const Levels& weights = config.bbox_reg_weights;
  check_input(weights.size() == 1 && weights[0].size() == 4,
              "bbox-reg-weights: expected one list of four numbers, found {}", format_value(weights));
  std::copy(weights[0].begin(), weights[0].end(), to);
}

/// Feature pixels per image pixel. torchvision takes the nearest power of two, so that padding does not shift
/// it.
float scale_of(int64_t map, int64_t image) {
  return std::exp2(std::round(std::log2(static_cast<float>(map) / static_cast<float>(image))));
}

}  // namespace

RoiHead RoiHead::make(Init& init, const ModelConfig& config, std::unique_ptr<BoxHead> body,
                      int64_t class_count) {
  RoiHead head;
  head.classes = Linear::make(init, body->features, class_count);
  head.offsets = Linear::make(init, body->features, config.box_class_agnostic ? 4 : class_count * 4);
  if (config.box_init == "normal") {  // the papers'
    const auto normal = [&](Linear& layer, double deviation) {
      layer.weight = init.normal(layer.weight.shape(), deviation);
      layer.bias = init.constant(layer.bias.shape(), 0);
    };
    normal(head.classes, 0.01);
    normal(head.offsets, 0.001);
  }
  head.body = std::move(body);
  return head;
}

void RoiHead::visit(ParamVisitor& visitor) {
  visitor.child("box_head", *body);
  visitor.child("box_predictor.cls_score", classes);
  visitor.child("box_predictor.bbox_pred", offsets);
}

RoiSamples sample_rois(Context& ctx, const ModelConfig& config, const Proposals& proposals,
                       const GroundTruth& truth) {
  const int64_t n = proposals.boxes.dim(0), r = proposals.boxes.dim(1), g = truth.boxes.dim(1);
  const int64_t s = config.box_batch_size_per_image;
  const Tensor matched = ctx.empty({n, r}, DType::i32), rows = ctx.empty({n, s}, DType::i32);
  RoiSamples samples{ctx.empty({n, s, 4}), ctx.empty({n}, DType::i32), ctx.empty({n, s}, DType::i32),
                     ctx.empty({n, s, 4})};
  kernels::run(ctx, kernels::match,
               kernels::MatchArgs{n, r, proposals.boxes.data<float>(), r * 4, proposals.count.data<int32_t>(),
                                  g, truth.boxes.data<float>(), truth.count.data<int32_t>(),
                                  config.box_fg_iou_thresh, config.box_bg_iou_thresh, false,
                                  matched.mutable_data<int32_t>(), config.whole_pixels ? 1.0f : 0.0f});
  kernels::run(
      ctx, kernels::sample,
      kernels::SampleArgs{n, r, matched.data<int32_t>(), s, config.box_positive_fraction, ctx.seed,
                          Purpose::roi_sample, ctx.step.data<int32_t>(), truth.image_id.data<int32_t>(),
                          nullptr, rows.mutable_data<int32_t>(), samples.count.mutable_data<int32_t>()});
  kernels::SelectRoisArgs select{n,
                                 r,
                                 g,
                                 s,
                                 proposals.boxes.data<float>(),
                                 matched.data<int32_t>(),
                                 rows.data<int32_t>(),
                                 truth.boxes.data<float>(),
                                 truth.labels.data<int32_t>(),
                                 {},
                                 samples.rois.mutable_data<float>(),
                                 samples.labels.mutable_data<int32_t>(),
                                 samples.offsets.mutable_data<float>()};
  copy_box_weights(config, select.weights);
  select.plus_one = config.whole_pixels ? 1 : 0;
  kernels::run(ctx, kernels::select_rois, select);
  return samples;
}

Var pool_rois(Context& ctx, const ModelConfig& config, const std::vector<Var>& levels, const Tensor& rois,
              const Tensor& count, const Shape& image) {
  const int64_t bins = config.box_pool_size;
  const auto canonical_level = static_cast<int>(config.box_canonical_level);
  std::vector<float> scales;
  for (const Var& level : levels) scales.push_back(scale_of(level.dim(1), image[1]));
  check_choice("box-pooling", config.box_pooling, "roi-align|roi-pool");
  if (config.box_pooling == "roi-pool")
    return roi_pool(ctx, levels, rois, count,
                    {bins, bins, scales, config.box_canonical_size, canonical_level});
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
                           const Shape& image) {
  const Var hidden = (*head.body)(ctx, pool_rois(ctx, config, levels, rois, count, image));
  return {head.classes(ctx, hidden), head.offsets(ctx, hidden)};
}

Detections roi_detections(Context& ctx, const ModelConfig& config, const RoiOutput& output,
                          const Proposals& proposals, const Tensor& image_size, ClassBoxes* before_nms) {
  const int64_t n = proposals.boxes.dim(0), r = proposals.boxes.dim(1), c = output.logits.dim(1);
  const int64_t m = r * (c - 1), most = config.box_detections_per_img;
  const Tensor probabilities = softmax(ctx, output.logits.value()).cast(DType::f32);
  const Tensor offsets = output.offsets.value().cast(DType::f32);
  const Tensor boxes = ctx.empty({n, m, 4}), scores = ctx.empty({n, m}),
               labels = ctx.empty({n, m}, DType::i32);
  kernels::ClassBoxesArgs decode{n,
                                 r,
                                 c,
                                 probabilities.data<float>(),
                                 offsets.data<float>(),
                                 proposals.boxes.data<float>(),
                                 proposals.count.data<int32_t>(),
                                 image_size.data<float>(),
                                 {},
                                 config.box_score_thresh,
                                 config.box_min_size,
                                 boxes.mutable_data<float>(),
                                 scores.mutable_data<float>(),
                                 labels.mutable_data<int32_t>()};
  copy_box_weights(config, decode.weights);
  decode.plus_one = config.whole_pixels ? 1 : 0;
  if (!config.limit_log_scale) decode.max_log_scale = std::numeric_limits<float>::infinity();
  decode.class_agnostic = config.box_class_agnostic;
  kernels::run(ctx, kernels::class_boxes, decode);
  if (before_nms) *before_nms = {boxes, scores, labels};

  const Tensor keep = ctx.empty({n, most}, DType::i32), kept = ctx.empty({n}, DType::i32);
  kernels::run(ctx, kernels::nms,
               kernels::NmsArgs{n, m, boxes.data<float>(), scores.data<float>(), labels.data<int32_t>(),
                                config.box_nms_thresh, most, keep.mutable_data<int32_t>(),
                                kept.mutable_data<int32_t>(), decode.plus_one});
  Detections result{ctx.empty({n, most, 4}), ctx.empty({n, most}), ctx.empty({n, most}, DType::i32),
                    ctx.empty({n}, DType::i32)};
  kernels::run(
      ctx, kernels::gather_boxes,
      kernels::GatherBoxesArgs{n, m, most, boxes.data<float>(), scores.data<float>(), labels.data<int32_t>(),
                               keep.data<int32_t>(), 0, nullptr, nullptr, result.boxes.mutable_data<float>(),
                               result.scores.mutable_data<float>(), result.labels.mutable_data<int32_t>(),
                               result.count.mutable_data<int32_t>()});
  return result;
}

}  // namespace rcnn
