#include "models/rpn.h"

#include <cmath>
#include <limits>

#include "kernels/boxes/anchors.h"
#include "kernels/boxes/box_targets.h"
#include "kernels/boxes/gather_boxes.h"
#include "kernels/boxes/match.h"
#include "kernels/boxes/nms.h"
#include "kernels/boxes/proposals.h"
#include "kernels/boxes/sample.h"
#include "kernels/boxes/top_k.h"
#include "layers/logit_difference.h"

namespace rcnn {
namespace {

/// The ratios of a level: one list serves all levels.
const std::vector<float>& ratios_of(const ModelConfig& config, size_t level) {
  return config.anchor_ratios[config.anchor_ratios.size() == 1 ? 0 : level];
}

Tensor make_anchors(Context& ctx, const ModelConfig& config, const std::vector<Var>& maps,
                    const Shape& pixels) {
  check(config.anchor_sizes.size() == maps.size(), "anchors: sizes for {} levels were given {} maps",
        config.anchor_sizes.size(), maps.size());
  kernels::AnchorsArgs args{};
  args.levels = static_cast<int>(maps.size());
  const std::vector<int64_t> strides = level_strides(config);
  const auto make_cells =
      config.anchor_cells == "caffe2015" ? kernels::caffe2015_cell_anchors : kernels::cell_anchors;
  std::vector<float> cells;
  int64_t count = 0;
  for (size_t l = 0; l < maps.size(); ++l) {
    const std::vector<float> cell = make_cells(config.anchor_sizes[l], ratios_of(config, l));
    args.h[l] = maps[l].dim(1);
    args.w[l] = maps[l].dim(2);
    // torchvision: whole pixels, from the padded batch. py-faster-rcnn: what the network is made for.
    const bool fixed = config.anchor_cells == "caffe2015";
    const int64_t stride_y = fixed ? strides[l] : pixels[1] / args.h[l],
                  stride_x = fixed ? strides[l] : pixels[2] / args.w[l];
    args.stride_y[l] = static_cast<float>(stride_y);
    args.stride_x[l] = static_cast<float>(stride_x);
    args.cell_anchors[l] = static_cast<int>(cell.size() / 4);
    count += args.h[l] * args.w[l] * args.cell_anchors[l];
    cells.insert(cells.end(), cell.begin(), cell.end());
  }
  const Tensor cell_tensor =
      Tensor::of<float>({static_cast<int64_t>(cells.size()) / 4, 4}, std::span<const float>(cells))
          .to(ctx.device);
  const Tensor anchors = ctx.empty({count, 4});
  args.cells = cell_tensor.data<float>();
  args.anchors = anchors.mutable_data<float>();
  kernels::run(ctx, kernels::anchors, args);
  return anchors;
}

}  // namespace

Rpn Rpn::make(Init& init, const ModelConfig& config, int64_t channels, int64_t anchors_a_cell) {
  const auto conv = [&](int64_t outputs, int64_t size) {
    Conv2d layer;
    layer.weight = init.normal({outputs, size, size, channels}, 0.01);
    layer.bias = init.constant({outputs}, 0);
    layer.options.pad = (size - 1) / 2;
    return layer;
  };
  const int64_t scores = config.rpn_scores == "softmax" ? 2 : 1;
  return {conv(channels, 3), conv(scores * anchors_a_cell, 1), conv(anchors_a_cell * 4, 1)};
}

void Rpn::visit(ParamVisitor& visitor) {
  visitor.child("head.conv.0.0", conv);
  visitor.child("head.cls_logits", objectness);
  visitor.child("head.bbox_pred", deltas);
}

RpnOutput rpn_forward(Context& ctx, const Rpn& rpn, const ModelConfig& config, const std::vector<Var>& levels,
                      const Shape& pixels) {
  RpnOutput output;
  for (const Var& level : levels) {
    const Var hidden = rpn.conv(ctx, level, true);
    const Var scores = rpn.objectness(ctx, hidden);
    output.objectness.push_back(config.rpn_scores == "softmax" ? logit_difference(ctx, scores) : scores);
    output.deltas.push_back(rpn.deltas(ctx, hidden));
  }
  output.anchors = make_anchors(ctx, config, output.objectness, pixels);
  return output;
}

Proposals rpn_proposals(Context& ctx, const ModelConfig& config, const RpnOutput& output,
                        const ImageBatch& images, const GroundTruth* truth) {
  const Tensor& image_size = images.size;
  const float plus_one = config.whole_pixels ? 1 : 0;
  const bool training = truth != nullptr;
  const int64_t n = image_size.dim(0), levels = static_cast<int64_t>(output.objectness.size());
  const int64_t k = training ? config.rpn_pre_nms_top_n_train : config.rpn_pre_nms_top_n_test;
  const int64_t most = training ? config.rpn_post_nms_top_n_train : config.rpn_post_nms_top_n_test;

  // Boxes and scores are f32, whatever the precision of the maps.
  std::vector<Tensor> scores, deltas;
  kernels::TopKArgs top{.n = n,
                        .levels = static_cast<int>(levels),
                        .scores = {},
                        .k = k,
                        .min_score = -std::numeric_limits<float>::infinity(),
                        .index = nullptr};
  kernels::ProposalsArgs decode{};
  for (size_t l = 0; l < output.objectness.size(); ++l) {
    scores.push_back(output.objectness[l].value().cast(DType::f32));
    deltas.push_back(output.deltas[l].value().cast(DType::f32));
    const int64_t rows = n == 0 ? 0 : scores[l].numel() / n;
    top.scores[l] = decode.scores[l] = {scores[l].data<float>(), rows};
    decode.deltas[l] = {deltas[l].data<float>(), rows};
  }
  const Tensor index = ctx.empty({n, levels, k}, DType::i32);
  top.index = index.mutable_data<int32_t>();
  kernels::run(ctx, kernels::top_k, top);

  const int64_t m = levels * k;
  const Tensor boxes = ctx.empty({n, m, 4}), box_scores = ctx.empty({n, m}),
               group = ctx.empty({n, m}, DType::i32);
  decode.n = n;
  decode.levels = top.levels;
  decode.anchors = output.anchors.data<float>();
  decode.image_size = image_size.data<float>();
  decode.k = k;
  decode.index = index.data<int32_t>();
  for (float& weight : decode.weights) weight = 1;
  decode.min_size = config.rpn_min_size;
  decode.plus_one = plus_one;
  if (!config.limit_log_scale) decode.max_log_scale = std::numeric_limits<float>::infinity();
  // Scores are logits here; that of 0 is minus infinity.
  const auto least = static_cast<double>(config.rpn_score_thresh);
  decode.min_score = static_cast<float>(std::log(least) - std::log1p(-least));
  if (config.rpn_min_size_scaled && images.scale.defined())
    decode.min_size_scale = images.scale.data<float>();
  decode.boxes = boxes.mutable_data<float>();
  decode.box_scores = box_scores.mutable_data<float>();
  decode.group = group.mutable_data<int32_t>();
  kernels::run(ctx, kernels::proposals, decode);

  const Tensor keep = ctx.empty({n, most}, DType::i32), kept = ctx.empty({n}, DType::i32);
  kernels::run(ctx, kernels::nms,
               kernels::NmsArgs{n, m, boxes.data<float>(), box_scores.data<float>(), group.data<int32_t>(),
                                config.rpn_nms_thresh, most, keep.mutable_data<int32_t>(),
                                kept.mutable_data<int32_t>(), plus_one});

  const int64_t extra = training ? truth->boxes.dim(1) : 0;
  Proposals result{ctx.empty({n, most + extra, 4}), ctx.empty({n}, DType::i32)};
  if (!training) result.scores = ctx.empty({n, most});
  kernels::run(ctx, kernels::gather_boxes,
               kernels::GatherBoxesArgs{
                   n, m, most, boxes.data<float>(), training ? nullptr : box_scores.data<float>(), nullptr,
                   keep.data<int32_t>(), extra, training ? truth->boxes.data<float>() : nullptr,
                   training ? truth->count.data<int32_t>() : nullptr, result.boxes.mutable_data<float>(),
                   training ? nullptr : result.scores.mutable_data<float>(), nullptr,
                   result.count.mutable_data<int32_t>()});
  return result;
}

RpnTargets rpn_targets(Context& ctx, const ModelConfig& config, const Tensor& anchors,
                       const Tensor& image_size, const GroundTruth& truth) {
  const float plus_one = config.whole_pixels ? 1 : 0;
  const int64_t n = truth.boxes.dim(0), g = truth.boxes.dim(1), r = anchors.dim(0);
  const Tensor matched = ctx.empty({n, r}, DType::i32), count = ctx.empty({n}, DType::i32);
  RpnTargets targets{ctx.empty({n, r}, DType::i32), ctx.empty({n, r, 4})};
  kernels::run(ctx, kernels::match,
               kernels::MatchArgs{n, r, anchors.data<float>(), 0, nullptr, g, truth.boxes.data<float>(),
                                  truth.count.data<int32_t>(), config.rpn_fg_iou_thresh,
                                  config.rpn_bg_iou_thresh, true, matched.mutable_data<int32_t>(), plus_one,
                                  config.rpn_inside_only ? image_size.data<float>() : nullptr});
  kernels::run(
      ctx, kernels::sample,
      kernels::SampleArgs{n, r, matched.data<int32_t>(), config.rpn_batch_size_per_image,
                          config.rpn_positive_fraction, ctx.seed, Purpose::rpn_sample,
                          ctx.step.data<int32_t>(), truth.image_id.data<int32_t>(),
                          targets.labels.mutable_data<int32_t>(), nullptr, count.mutable_data<int32_t>()});
  kernels::run(ctx, kernels::box_targets,
               kernels::BoxTargetsArgs{n,
                                       r,
                                       anchors.data<float>(),
                                       0,
                                       g,
                                       truth.boxes.data<float>(),
                                       matched.data<int32_t>(),
                                       {1, 1, 1, 1},
                                       targets.offsets.mutable_data<float>(),
                                       plus_one});
  return targets;
}

}  // namespace rcnn
