#pragma once

#include "kernels/boxes/box_cases.h"
#include "kernels/boxes/match.h"

namespace rcnn::kernels {

struct MatchCase {
  int64_t n, r, g;
  bool shared;  // the images share their boxes
  bool padded;  // some rows are padding
  float high, low;
  bool promote_best;
  float plus_one = 0;
  bool border = false;  // rows that are not inside their image take no part
};

inline std::vector<MatchCase> match_cases() {
  return {
      {1, 100, 7, true, false, 0.7f, 0.3f, true},
      {3, 1009, 13, true, false, 0.5f, 0.25f, true},  // several blocks, the last one short
      {3, 523, 5, false, true, 0.5f, 0.5f, false},
      {2, 256, 3, false, true, 0.7f, 0.3f, true},    // exactly one block
      {4, 300, 1, true, false, 0.7f, 0.3f, true},    // some images without ground truth
      {3, 67, 401, false, false, 0.5f, 0.3f, true},  // more ground truths than rows
      {2, 77, 0, true, false, 0.7f, 0.3f, true},
      {3, 1009, 13, true, false, 0.7f, 0.3f, true, 1, true},
      {3, 523, 5, false, true, 0.5f, 0.3f, true, 0, true},
      {2, 301, 7, false, true, 0.5f, 0.5f, false, 1},
      {2, 0, 3, true, false, 0.7f, 0.3f, true},
      {0, 5, 3, true, false, 0.7f, 0.3f, true},
  };
}

/// Anchors and proposals of nano-fpn at 4 x 240 x 320, and the anchors of a ResNet-50 FPN at 800 x 1344.
inline std::vector<MatchCase> match_bench_cases() {
  return {
      {4, 37800, 16, true, false, 0.7f, 0.3f, true},
      {4, 516, 16, false, true, 0.5f, 0.5f, false},
      {1, 268569, 20, true, false, 0.7f, 0.3f, true},
  };
}

RCNN_CASE_FIELDS(MatchCase, n, r, g, shared, padded, high, low, promote_best, plus_one, border)

inline MatchCase case_of(const MatchArgs& a, ArgumentReader&) {
  return {a.n,
          a.r,
          a.g,
          a.box_stride == 0,
          a.row_count != nullptr,
          a.high,
          a.low,
          a.promote_best,
          a.plus_one,
          a.image_size != nullptr};
}

inline Prepared<MatchArgs> prepare_match(const MatchCase& c, Filler fill) {
  Prepared<MatchArgs> p;
  const Tensor boxes = random_boxes(fill, p.inputs, {c.shared ? 1 : c.n, c.r, 4}, 500);
  const Tensor row_count = fill.integers(p.inputs, {c.n}, 0, static_cast<int>(c.r));
  const Tensor gt = random_boxes(fill, p.inputs, {c.n, c.g, 4}, 500);
  const Tensor gt_count = fill.integers(p.inputs, {c.n}, 0, static_cast<int>(c.g));
  const Tensor matched = fill.poisoned<int32_t>(p.outputs, {c.n, c.r});
  const Tensor image_size = fill.uniform<float>(p.inputs, {c.n, 2}, 250, 500);
  p.args = {.n = c.n,
            .r = c.r,
            .boxes = boxes.data<float>(),
            .box_stride = c.shared ? 0 : c.r * 4,
            .row_count = c.padded ? row_count.data<int32_t>() : nullptr,
            .g = c.g,
            .gt = gt.data<float>(),
            .gt_count = gt_count.data<int32_t>(),
            .high = c.high,
            .low = c.low,
            .promote_best = c.promote_best,
            .matched = matched.mutable_data<int32_t>(),
            .plus_one = c.plus_one,
            .image_size = c.border ? image_size.data<float>() : nullptr};
  return p;
}

RCNN_OP_CASES(match, match_cases, match_bench_cases, prepare_match)

}  // namespace rcnn::kernels
