#include "layers/boxes.h"

#include <cmath>
#include <limits>

#include "kernels/boxes/anchors.h"
#include "kernels/boxes/class_boxes.h"
#include "kernels/boxes/gather_boxes.h"
#include "kernels/boxes/nms.h"
#include "kernels/boxes/proposals.h"
#include "kernels/boxes/top_k.h"
#include "layers/box_targets.h"
#include "layers/checks.h"

namespace rcnn {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

float max_log_scale(const BoxCoder& coder) {
  return coder.limit_log_scale ? static_cast<float>(kernels::kMaxLogScale) : kInfinity;
}

/// The logit whose sigmoid is `probability`; minus infinity for 0.
float logit(float probability) {
  const auto p = static_cast<double>(probability);
  return static_cast<float>(std::log(p) - std::log1p(-p));
}

void check_levels(const char* function, size_t levels) {
  check(levels >= 1 && levels <= kernels::kMaxLevels, "{}: expected 1 to {} levels, found {}", function,
        kernels::kMaxLevels, levels);
}

/// The rows per image of a level whose tensor has `columns` numbers per row.
int64_t rows_per_image(const char* function, const char* name, const Tensor& level, int64_t n,
                       int64_t columns) {
  check(level.defined() && level.dtype() == DType::f32 &&
            (n == 0 ? level.numel() == 0 : level.numel() % (n * columns) == 0),
        "{}: expected {} as f32 ({}, rows, {}) of each level, found {}", function, name, n, columns,
        describe(level));
  return n == 0 ? 0 : level.numel() / (n * columns);
}

void check_candidates(const char* function, const Candidates& c) {
  check_tensor(function, "boxes", c.boxes, DType::f32, {kAny, kAny, 4});
  const Shape rows{c.boxes.dim(0), c.boxes.dim(1)};
  check_tensor(function, "scores", c.scores, DType::f32, rows);
  check_tensor(function, "group", c.group, DType::i32, rows);
}

}  // namespace

// ---- anchors

std::vector<float> cell_anchors(std::span<const float> sizes, std::span<const float> ratios) {
  std::vector<float> cells;
  for (const float ratio : ratios)
    for (const float size : sizes) {
      const float h_ratio = std::sqrt(ratio), w_ratio = 1 / h_ratio;
      // nearbyint rounds halves to even, as torch.round does.
      const float half_w = std::nearbyint(w_ratio * size / 2), half_h = std::nearbyint(h_ratio * size / 2);
      cells.insert(cells.end(), {-half_w, -half_h, half_w, half_h});
    }
  return cells;
}

std::vector<float> caffe2015_cell_anchors(std::span<const float> sizes, std::span<const float> ratios) {
  constexpr double kBase = 16, kCentre = (kBase - 1) / 2;  // side and centre of the box that is enlarged
  std::vector<float> cells;
  for (const float ratio : ratios) {
    // In double, as numpy computes it.
    const double h_over_w = static_cast<double>(ratio);
    const double w = std::nearbyint(std::sqrt(kBase * kBase / h_over_w)), h = std::nearbyint(w * h_over_w);
    for (const float size : sizes) {
      const double scale = static_cast<double>(size) / kBase;
      // From the centre of the first pixel to that of the last: one less than the width.
      const double half_w = (w * scale - 1) / 2, half_h = (h * scale - 1) / 2;
      for (const double corner : {kCentre - half_w, kCentre - half_h, kCentre + half_w, kCentre + half_h})
        cells.push_back(static_cast<float>(corner));
    }
  }
  return cells;
}

Tensor make_anchors(Context& ctx, const std::vector<AnchorGrid>& levels) {
  check_levels("make_anchors", levels.size());
  kernels::AnchorsArgs args{};
  args.levels = static_cast<int>(levels.size());
  std::vector<float> cells;
  int64_t count = 0;
  for (size_t l = 0; l < levels.size(); ++l) {
    const AnchorGrid& level = levels[l];
    check(level.h >= 0 && level.w >= 0 && level.cell_anchors.size() % 4 == 0,
          "make_anchors: level {} has {} x {} cells and {} numbers for the anchors of a cell; expected 4 per "
          "anchor",
          l, level.h, level.w, level.cell_anchors.size());
    args.h[l] = level.h;
    args.w[l] = level.w;
    args.stride_y[l] = level.stride_y;
    args.stride_x[l] = level.stride_x;
    args.cell_anchors[l] = static_cast<int>(level.cell_anchors.size() / 4);
    count += level.h * level.w * args.cell_anchors[l];
    cells.insert(cells.end(), level.cell_anchors.begin(), level.cell_anchors.end());
  }
  const Tensor all_cells =
      Tensor::of<float>({static_cast<int64_t>(cells.size()) / 4, 4}, std::span<const float>(cells))
          .to(ctx.device);
  const Tensor anchors = ctx.empty({count, 4});
  args.cells = all_cells.data<float>();
  args.anchors = anchors.mutable_data<float>();
  kernels::run(ctx, kernels::anchors, args);
  return anchors;
}

// ---- proposals

Tensor top_k(Context& ctx, int64_t n, const std::vector<Tensor>& scores, int64_t k) {
  check_levels("top_k", scores.size());
  check(k >= 0, "top_k: expected k of at least 0, found {}", k);
  const auto levels = static_cast<int64_t>(scores.size());
  const Tensor rows = ctx.empty({n, levels, k}, DType::i32);
  kernels::TopKArgs args{.n = n,
                         .levels = static_cast<int>(levels),
                         .scores = {},
                         .k = k,
                         .min_score = -kInfinity,
                         .index = rows.mutable_data<int32_t>()};
  for (size_t l = 0; l < scores.size(); ++l)
    args.scores[l] = {scores[l].data<float>(), rows_per_image("top_k", "scores", scores[l], n, 1)};
  kernels::run(ctx, kernels::top_k, args);
  return rows;
}

Candidates decode_proposals(Context& ctx, const Tensor& anchors, const RpnPredictions& predictions,
                            const Tensor& rows, const Tensor& image_size, const DecodeOptions& options) {
  const char* self = "decode_proposals";
  const size_t levels = predictions.scores.size();
  check_levels(self, levels);
  check(predictions.deltas.size() == levels, "{}: scores of {} levels, but deltas of {}", self, levels,
        predictions.deltas.size());
  check_tensor(self, "image_size", image_size, DType::f32, {kAny, 2});
  const int64_t n = image_size.dim(0);
  check_tensor(self, "rows", rows, DType::i32, {n, static_cast<int64_t>(levels), kAny});
  check_tensor(self, "anchors", anchors, DType::f32, {kAny, 4});
  if (options.min_size_scale.defined())
    check_tensor(self, "min_size_scale", options.min_size_scale, DType::f32, {n});

  kernels::ProposalsArgs args{};
  int64_t total = 0;
  for (size_t l = 0; l < levels; ++l) {
    const int64_t count = rows_per_image(self, "scores", predictions.scores[l], n, 1);
    check(rows_per_image(self, "deltas", predictions.deltas[l], n, 4) == count,
          "{}: level {} has scores {} and deltas {}: expected four deltas per score", self, l,
          describe(predictions.scores[l]), describe(predictions.deltas[l]));
    args.scores[l] = {predictions.scores[l].data<float>(), count};
    args.deltas[l] = {predictions.deltas[l].data<float>(), count};
    total += count;
  }
  check(n == 0 || total == anchors.dim(0), "{}: {} scores per image, but {} anchors", self, total,
        anchors.dim(0));

  const int64_t k = rows.dim(2), m = static_cast<int64_t>(levels) * k;
  Candidates result{ctx.empty({n, m, 4}), ctx.empty({n, m}), ctx.empty({n, m}, DType::i32)};
  args.n = n;
  args.levels = static_cast<int>(levels);
  args.anchors = anchors.data<float>();
  args.image_size = image_size.data<float>();
  args.k = k;
  args.index = rows.data<int32_t>();
  std::copy(options.coder.weights.begin(), options.coder.weights.end(), args.weights);
  args.plus_one = options.coder.whole_pixels ? 1 : 0;
  args.max_log_scale = max_log_scale(options.coder);
  args.min_size = options.min_size;
  if (options.min_size_scale.defined()) args.min_size_scale = options.min_size_scale.data<float>();
  args.min_score = logit(options.min_score);
  args.boxes = result.boxes.mutable_data<float>();
  args.box_scores = result.scores.mutable_data<float>();
  args.group = result.group.mutable_data<int32_t>();
  kernels::run(ctx, kernels::proposals, args);
  return result;
}

// ---- detections

Candidates class_boxes(Context& ctx, const Tensor& probabilities, const Tensor& deltas, const Tensor& rois,
                       const Tensor& count, const Tensor& image_size, const ClassBoxesOptions& options) {
  const char* self = "class_boxes";
  check_tensor(self, "rois", rois, DType::f32, {kAny, kAny, 4});
  const int64_t n = rois.dim(0), r = rois.dim(1);
  check_tensor(self, "probabilities", probabilities, DType::f32, {n * r, kAny});
  const int64_t c = probabilities.dim(1);
  check_tensor(self, "deltas", deltas, DType::f32, {n * r, kAny});
  const bool class_agnostic = deltas.dim(1) == 4 && c != 1;
  check(deltas.dim(1) == 4 * c || class_agnostic,
        "{}: expected deltas ({}, {}), or ({}, 4) for all classes, found {}", self, n * r, 4 * c, n * r,
        describe(deltas));
  check_tensor(self, "count", count, DType::i32, {n});
  check_tensor(self, "image_size", image_size, DType::f32, {n, 2});

  const int64_t m = r * (c - 1);
  Candidates result{ctx.empty({n, m, 4}), ctx.empty({n, m}), ctx.empty({n, m}, DType::i32), c - 1};
  kernels::ClassBoxesArgs args{};
  args.n = n;
  args.r = r;
  args.c = c;
  args.probabilities = probabilities.data<float>();
  args.deltas = deltas.data<float>();
  args.class_agnostic = class_agnostic;
  args.rois = rois.data<float>();
  args.count = count.data<int32_t>();
  args.image_size = image_size.data<float>();
  std::copy(options.coder.weights.begin(), options.coder.weights.end(), args.weights);
  args.plus_one = options.coder.whole_pixels ? 1 : 0;
  args.max_log_scale = max_log_scale(options.coder);
  args.score_threshold = options.min_score;
  args.min_size = options.min_size;
  args.boxes = result.boxes.mutable_data<float>();
  args.scores = result.scores.mutable_data<float>();
  args.labels = result.group.mutable_data<int32_t>();
  kernels::run(ctx, kernels::class_boxes, args);
  return result;
}

// ---- non-maximum suppression

KeptRows nms(Context& ctx, const Candidates& candidates, const NmsOptions& options) {
  check_candidates("nms", candidates);
  check(options.max_boxes >= 0, "nms: expected max_boxes of at least 0, found {}", options.max_boxes);
  const int64_t n = candidates.boxes.dim(0);
  KeptRows kept{ctx.empty({n, options.max_boxes}, DType::i32), ctx.empty({n}, DType::i32)};
  kernels::run(ctx, kernels::nms,
               kernels::NmsArgs{.n = n,
                                .m = candidates.boxes.dim(1),
                                .boxes = candidates.boxes.data<float>(),
                                .scores = candidates.scores.data<float>(),
                                .group = candidates.group.data<int32_t>(),
                                .threshold = options.threshold,
                                .capacity = options.max_boxes,
                                .keep = kept.rows.mutable_data<int32_t>(),
                                .count = kept.count.mutable_data<int32_t>(),
                                .plus_one = options.whole_pixels ? 1.0f : 0.0f,
                                .columns = candidates.columns});
  return kept;
}

namespace {

kernels::GatherBoxesArgs gather_args(const char* self, const Candidates& candidates, const KeptRows& kept) {
  check_candidates(self, candidates);
  check_tensor(self, "rows", kept.rows, DType::i32, {candidates.boxes.dim(0), kAny});
  kernels::GatherBoxesArgs args{};
  args.n = candidates.boxes.dim(0);
  args.m = candidates.boxes.dim(1);
  args.k = kept.rows.dim(1);
  args.boxes = candidates.boxes.data<float>();
  args.keep = kept.rows.data<int32_t>();
  return args;
}

}  // namespace

BoxList gather(Context& ctx, const Candidates& candidates, const KeptRows& kept) {
  kernels::GatherBoxesArgs args = gather_args("gather", candidates, kept);
  BoxList list{ctx.empty({args.n, args.k, 4}), ctx.empty({args.n, args.k}),
               ctx.empty({args.n, args.k}, DType::i32), ctx.empty({args.n}, DType::i32)};
  args.scores = candidates.scores.data<float>();
  args.labels = candidates.group.data<int32_t>();
  args.out_boxes = list.boxes.mutable_data<float>();
  args.out_scores = list.scores.mutable_data<float>();
  args.out_labels = list.group.mutable_data<int32_t>();
  args.out_count = list.count.mutable_data<int32_t>();
  kernels::run(ctx, kernels::gather_boxes, args);
  return list;
}

BoxList gather_with_truth(Context& ctx, const Candidates& candidates, const KeptRows& kept,
                          const GroundTruth& truth) {
  kernels::GatherBoxesArgs args = gather_args("gather_with_truth", candidates, kept);
  check_truth("gather_with_truth", truth, args.n);
  args.extra = truth.boxes.dim(1);
  args.extra_boxes = truth.boxes.data<float>();
  args.extra_count = truth.count.data<int32_t>();
  BoxList list{ctx.empty({args.n, args.k + args.extra, 4}), {}, {}, ctx.empty({args.n}, DType::i32)};
  args.out_boxes = list.boxes.mutable_data<float>();
  args.out_count = list.count.mutable_data<int32_t>();
  kernels::run(ctx, kernels::gather_boxes, args);
  return list;
}

}  // namespace rcnn
