#pragma once

#include "kernels/boxes/box_cases.h"
#include "kernels/boxes/proposals.h"

namespace rcnn::kernels {

struct ProposalsCase {
  int64_t n;
  std::vector<int64_t> rows;  // of each level
  int64_t k;
  float min_size;
  float plus_one = 0, max_log_scale = static_cast<float>(kMaxLogScale);
  float min_score = -std::numeric_limits<float>::infinity();
  bool scaled = false;  // min_size has a factor for each image
};

inline std::vector<ProposalsCase> proposals_cases() {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  return {
      {1, {211}, 50, 1e-3f},
      {3, {101, 47, 1}, 67, 4},
      {2, {53, 0}, 11, 0},  // an empty level
      {3, {101, 37}, 59, 16, 1, kInfinity, -kInfinity, true},
      {2, {103}, 97, 4, 0, 1, 0.25f},
      {1, {53}, 0, 0},
      {0, {53}, 7, 0},
  };
}

/// nano-fpn at 4 x 240 x 320, a ResNet-50 FPN at 800 x 1344, and the latter with every anchor decoded.
inline std::vector<ProposalsCase> proposals_bench_cases() {
  return {
      {4, {28800, 7200, 1800}, 1000, 1e-3f},
      {1, {201600, 50400, 12600, 3150, 819}, 1000, 1e-3f},
      {1, {268569}, 268569, 1e-3f},
  };
}

RCNN_CASE_FIELDS(ProposalsCase, n, rows, k, min_size, plus_one, max_log_scale, min_score, scaled)

inline ProposalsCase case_of(const ProposalsArgs& a, ArgumentReader&) {
  return {a.n,         rows_of_levels(a.scores, a.levels), a.k, a.min_size, a.plus_one, a.max_log_scale,
          a.min_score, a.min_size_scale != nullptr};
}

inline Prepared<ProposalsArgs> prepare_proposals(const ProposalsCase& c, Filler fill) {
  constexpr float kSide = 300;
  Prepared<ProposalsArgs> p;
  const int levels = static_cast<int>(c.rows.size());
  p.args.n = c.n;
  p.args.levels = levels;
  p.args.k = c.k;
  std::fill_n(p.args.weights, 4, 2.0f);
  p.args.min_size = c.min_size;
  int64_t rows = 0;
  for (size_t l = 0; l < c.rows.size(); ++l) {
    const Tensor deltas = fill.numbers<float>(p.inputs, {c.n, c.rows[l], 4});
    const std::span<float> values = deltas.mutable_values<float>();
    for (size_t i = 19; i < values.size(); i += 97) values[i] = std::numeric_limits<float>::quiet_NaN();
    p.args.scores[l] = {random_scores(fill, p.inputs, {c.n, c.rows[l]}).data<float>(), c.rows[l]};
    p.args.deltas[l] = {deltas.data<float>(), c.rows[l]};
    rows += c.rows[l];
  }
  const Tensor index = fill.integers(p.inputs, {c.n, levels, c.k}, 0, 1 << 20);
  const std::span<int32_t> chosen = index.mutable_values<int32_t>();
  for (size_t i = 0; i < chosen.size(); ++i) {
    const size_t level = i / static_cast<size_t>(c.k) % c.rows.size();
    chosen[i] = chosen[i] % static_cast<int32_t>(c.rows[level] + 1) - 1;
  }
  p.args.anchors = random_boxes(fill, p.inputs, {rows, 4}, kSide).data<float>();
  p.args.image_size = fill.uniform<float>(p.inputs, {c.n, 2}, kSide / 2, kSide).data<float>();
  p.args.index = index.data<int32_t>();
  p.args.plus_one = c.plus_one;
  p.args.max_log_scale = c.max_log_scale;
  p.args.min_score = c.min_score;
  const Tensor scale = fill.uniform<float>(p.inputs, {c.n}, 0.5f, 2);
  if (c.scaled) p.args.min_size_scale = scale.data<float>();
  const Shape shape{c.n, levels * c.k};
  p.args.boxes = fill.poisoned<float>(p.outputs, {c.n, levels * c.k, 4}).mutable_data<float>();
  p.args.box_scores = fill.poisoned<float>(p.outputs, shape).mutable_data<float>();
  p.args.group = fill.poisoned<int32_t>(p.outputs, shape).mutable_data<int32_t>();
  return p;
}

RCNN_OP_CASES(proposals, proposals_cases, proposals_bench_cases, prepare_proposals)

}  // namespace rcnn::kernels
