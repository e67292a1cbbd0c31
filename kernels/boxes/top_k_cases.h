#pragma once

#include "kernels/boxes/box_cases.h"
#include "kernels/boxes/top_k.h"

namespace rcnn::kernels {

struct TopKCase {
  int64_t n;
  std::vector<int64_t> rows;  // of each level
  int64_t k;
  float min_score;
};

inline std::vector<TopKCase> top_k_cases() {
  constexpr float kAll = -std::numeric_limits<float>::infinity();
  return {
      {1, {100}, 10, kAll},        {3, {1009, 211, 7}, 50, kAll},  // the last level has fewer rows than k
      {2, {4099, 0}, 1000, 0.5f},                                  // an empty level, and a bound on the score
      {2, {513}, 513, kAll},                                       // k equals the number of rows
      {1, {97}, 5, 1e30f},                                         // only infinities
      {1, {31}, 0, kAll},          {0, {17}, 3, kAll},
      {1, {5003, 97}, 1100, kAll},  // several blocks per level, several chunks to sort
  };
}

/// The anchors of nano-fpn at 4 x 240 x 320, of a ResNet-50 FPN at 800 x 1344, and all of the latter at once.
inline std::vector<TopKCase> top_k_bench_cases() {
  constexpr float kAll = -std::numeric_limits<float>::infinity();
  return {
      {4, {28800, 7200, 1800}, 1000, kAll},
      {1, {201600, 50400, 12600, 3150, 819}, 1000, kAll},
      {1, {268569}, 1000, kAll},
  };
}

RCNN_CASE_FIELDS(TopKCase, n, rows, k, min_score)

inline TopKCase case_of(const TopKArgs& a, ArgumentReader&) {
  return {a.n, rows_of_levels(a.scores, a.levels), a.k, a.min_score};
}

inline Prepared<TopKArgs> prepare_top_k(const TopKCase& c, Filler fill) {
  Prepared<TopKArgs> p;
  const int levels = static_cast<int>(c.rows.size());
  p.args = {.n = c.n, .levels = levels, .scores = {}, .k = c.k, .min_score = c.min_score, .index = nullptr};
  for (size_t l = 0; l < c.rows.size(); ++l)
    p.args.scores[l] = {random_scores(fill, p.inputs, {c.n, c.rows[l]}).data<float>(), c.rows[l]};
  p.args.index = fill.poisoned<int32_t>(p.outputs, {c.n, levels, c.k}).mutable_data<int32_t>();
  return p;
}

RCNN_OP_CASES(top_k, top_k_cases, top_k_bench_cases, prepare_top_k)

}  // namespace rcnn::kernels
