#include "eval/stages.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "kernels/boxes/box_math.h"

namespace rcnn {
namespace {

template <class T>
std::vector<T> on_host(const Tensor& tensor) {
  const Tensor here = tensor.to(Device{});
  return {here.data<T>(), here.data<T>() + here.numel()};
}

/// The anchors, what the RPN predicts for them, and where that moves them.
void read_anchors(Stages& stages, const ModelConfig& config, const RpnOutput& output, const ImageBatch& batch,
                  const ToImage& to_image) {
  const Shape& pixels = batch.pixels.shape();
  for (const Var& map : output.objectness) {
    const std::vector<float> scores = on_host<float>(map.value().cast(DType::f32));
    stages.levels.push_back({.h = map.dim(1),
                             .w = map.dim(2),
                             .per_cell = map.dim(3),
                             .first = std::ssize(stages.objectness),
                             .stride = static_cast<int>(pixels[1] / map.dim(1))});
    stages.objectness.insert(stages.objectness.end(), scores.begin(), scores.end());
  }
  for (const Var& map : output.deltas) {
    const std::vector<float> deltas = on_host<float>(map.value().cast(DType::f32));
    stages.deltas.insert(stages.deltas.end(), deltas.begin(), deltas.end());
  }
  const std::vector<float> anchors = on_host<float>(output.anchors), size = on_host<float>(batch.size);
  const BoxCoder coder = anchor_coder(config);
  const float plus_one = coder.whole_pixels ? 1 : 0;
  const float limit = coder.limit_log_scale ? static_cast<float>(kernels::kMaxLogScale)
                                            : std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < stages.objectness.size(); ++i) {
    stages.anchors.push_back(kernels::load_box(anchors.data() + i * 4));
    stages.seen_anchors.push_back(to_image.size.from_input(stages.anchors.back()));
    const Box moved = kernels::decode(kernels::spanned(stages.anchors.back(), plus_one),
                                      stages.deltas.data() + i * 4, coder.weights.data(), limit);
    float inside[4];
    kernels::store_box(inside, kernels::clip(moved, size[0], size[1], plus_one));
    stages.predicted.push_back(to_image(inside));
  }
  stages.rank.resize(stages.anchors.size());
  for (const StageLevel& level : stages.levels) {
    std::vector<int> order(static_cast<size_t>(level.count()));
    std::iota(order.begin(), order.end(), static_cast<int>(level.first));
    const auto score = [&](int anchor) { return stages.objectness[static_cast<size_t>(anchor)]; };
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return score(a) > score(b); });
    for (size_t i = 0; i < order.size(); ++i)
      stages.rank[static_cast<size_t>(order[i])] = static_cast<int>(i);
  }
}

std::vector<StageBox> read_candidates(const Candidates& candidates, const ToImage& to_image) {
  const std::vector<float> boxes = on_host<float>(candidates.boxes),
                           scores = on_host<float>(candidates.scores);
  const std::vector<int32_t> group = on_host<int32_t>(candidates.group);
  std::vector<StageBox> list;
  for (size_t i = 0; i < scores.size(); ++i)
    list.push_back(
        {kernels::load_box(boxes.data() + i * 4), to_image(boxes.data() + i * 4), scores[i], group[i]});
  return list;
}

std::vector<int> read_kept(const KeptRows& kept) {
  std::vector<int> rows = on_host<int32_t>(kept.rows);
  rows.resize(static_cast<size_t>(on_host<int32_t>(kept.count)[0]));
  return rows;
}

}  // namespace

size_t Stages::level_of(int64_t anchor) const {
  size_t level = levels.size() - 1;
  while (level > 0 && levels[level].first > anchor) --level;
  return level;
}

int mark_killers(std::vector<StageBox>& boxes, const std::vector<int>& kept, float threshold,
                 float plus_one) {
  std::vector<Box> spans;
  for (size_t i = 0; i < kept.size(); ++i) {
    StageBox& box = boxes[static_cast<size_t>(kept[i])];
    box.place = static_cast<int>(i);
    spans.push_back(kernels::spanned(box.box, plus_one));
  }
  int after = 0;
  for (size_t i = 0; i < boxes.size(); ++i) {
    StageBox& box = boxes[i];
    if (!box.used() || box.place >= 0 || std::isnan(box.score)) continue;  // NMS leaves a NaN out
    const Box span = kernels::spanned(box.box, plus_one);
    for (size_t k = 0; k < kept.size() && box.killer < 0; ++k) {
      const StageBox& other = boxes[static_cast<size_t>(kept[k])];
      const bool better =
          other.score > box.score || (other.score == box.score && kept[k] < static_cast<int>(i));
      if (!better || other.group != box.group) continue;
      if (const float overlap = kernels::iou(spans[k], span); overlap > threshold) {
        box.killer = kept[k];
        box.killer_overlap = overlap;
      }
    }
    after += box.killer < 0;
  }
  return after;
}

Stages read_stages(const ModelConfig& config, const DetectionTrace& trace, const ImageBatch& batch,
                   const ToImage& to_image) {
  check(trace.stages != nullptr && trace.stages->rpn.rows.defined(),
        "stages are read from the trace of a detection with an RPN");
  const DetectionStages& from = *trace.stages;
  check(from.rpn.rows.dim(0) == 1, "stages are read from a batch of one image, not of {}",
        from.rpn.rows.dim(0));
  Stages stages;
  read_anchors(stages, config, from.rpn.output, batch, to_image);

  stages.proposed = read_candidates(from.rpn.candidates, to_image);
  const std::vector<int32_t> rows = on_host<int32_t>(from.rpn.rows);
  const auto k = static_cast<size_t>(from.rpn.rows.dim(2));
  for (size_t i = 0; i < rows.size(); ++i)
    if (rows[i] >= 0) stages.proposed[i].source = static_cast<int>(stages.levels[i / k].first) + rows[i];
  stages.proposals = read_kept(from.rpn.kept);
  const float plus_one = config.whole_pixels ? 1 : 0;
  const int after = mark_killers(stages.proposed, stages.proposals, config.rpn_nms_thresh, plus_one);
  check(after == 0 || std::ssize(stages.proposals) == config.rpn_post_nms_top_n_test,
        "{} boxes of the RPN were neither kept nor suppressed, but NMS kept only {} of {}", after,
        stages.proposals.size(), config.rpn_post_nms_top_n_test);

  stages.classes = from.head.probabilities.dim(1);
  stages.probabilities = on_host<float>(from.head.probabilities);
  stages.classified = read_candidates(trace.before_nms, to_image);
  for (size_t i = 0; i < stages.classified.size(); ++i)
    stages.classified[i].source = static_cast<int>(i) / static_cast<int>(stages.classes - 1);
  stages.detections = read_kept(from.head.kept);
  const int late = mark_killers(stages.classified, stages.detections, config.box_nms_thresh, plus_one);
  check(late == 0 || std::ssize(stages.detections) == config.box_detections_per_img,
        "{} boxes of the head were neither kept nor suppressed, but NMS kept only {} of {}", late,
        stages.detections.size(), config.box_detections_per_img);
  return stages;
}

Stages detect_stages(Context& ctx, FasterRcnn& model, const Image& image) {
  const RawImage raw{image.rgb.data(), image.height, image.width};
  const ImageBatch batch = make_image_batch(ctx, model.config, {&raw, 1});
  DetectionStages tensors;
  DetectionTrace trace;
  trace.stages = &tensors;
  model.detect(ctx, batch, &trace);
  return read_stages(model.config, trace, batch, ToImage(model.config, image));
}

}  // namespace rcnn
