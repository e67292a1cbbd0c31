#pragma once

#include "kernels/boxes/box_cases.h"
#include "kernels/boxes/class_boxes.h"

namespace rcnn::kernels {

struct ClassBoxesCase {
  int64_t n, r, c;
  float score_threshold, min_size;
  float plus_one = 0, max_log_scale = static_cast<float>(kMaxLogScale);
  bool class_agnostic = false;
};

inline std::vector<ClassBoxesCase> class_boxes_cases() {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  return {
      {1, 53, 4, 0.5f, 1e-2f},
      {3, 17, 7, 0, 8},
      {2, 61, 6, 0.2f, 1},
      {2, 11, 2, 0.9f, 0},
      {2, 5, 1, 0, 0},  // only the background
      {3, 19, 5, 0.3f, 16, 1, kInfinity},
      {2, 23, 4, 0.2f, 1, 0, kInfinity, true},
      {2, 0, 4, 0.5f, 0},
      {0, 3, 4, 0, 0},
  };
}

/// The RoIs of nano-fpn at 4 x 240 x 320 in detection, and of a ResNet-50 FPN on COCO.
inline std::vector<ClassBoxesCase> class_boxes_bench_cases() {
  return {{4, 200, 7, 0.9f, 1e-2f}, {1, 1000, 91, 0.95f, 1e-2f}};
}

RCNN_CASE_FIELDS(ClassBoxesCase, n, r, c, score_threshold, min_size, plus_one, max_log_scale, class_agnostic)

inline ClassBoxesCase case_of(const ClassBoxesArgs& a, ArgumentReader&) {
  return {a.n, a.r, a.c, a.score_threshold, a.min_size, a.plus_one, a.max_log_scale, a.class_agnostic};
}

inline Prepared<ClassBoxesArgs> prepare_class_boxes(const ClassBoxesCase& c, Filler fill) {
  constexpr float kSide = 300;
  Prepared<ClassBoxesArgs> p;
  const Tensor probabilities = fill.uniform<float>(p.inputs, {c.n, c.r, c.c}, 0, 1);
  const Tensor deltas = fill.numbers<float>(p.inputs, {c.n, c.r, c.class_agnostic ? 1 : c.c, 4});
  const std::span<float> chances = probabilities.mutable_values<float>();
  const std::span<float> moves = deltas.mutable_values<float>();
  for (size_t i = 5; i < chances.size(); i += 41) chances[i] = std::numeric_limits<float>::quiet_NaN();
  for (size_t i = 7; i < moves.size(); i += 83) moves[i] = std::numeric_limits<float>::quiet_NaN();
  const Tensor rois = random_boxes(fill, p.inputs, {c.n, c.r, 4}, kSide);
  const Tensor count = fill.integers(p.inputs, {c.n}, 0, static_cast<int>(c.r));
  const Tensor image_size = fill.uniform<float>(p.inputs, {c.n, 2}, kSide / 2, kSide);
  const int64_t rows = c.r * (c.c - 1);
  const Tensor boxes = fill.poisoned<float>(p.outputs, {c.n, rows, 4});
  const Tensor scores = fill.poisoned<float>(p.outputs, {c.n, rows});
  const Tensor labels = fill.poisoned<int32_t>(p.outputs, {c.n, rows});
  p.args = {.n = c.n,
            .r = c.r,
            .c = c.c,
            .probabilities = probabilities.data<float>(),
            .deltas = deltas.data<float>(),
            .rois = rois.data<float>(),
            .count = count.data<int32_t>(),
            .image_size = image_size.data<float>(),
            .weights = {10, 10, 5, 5},
            .score_threshold = c.score_threshold,
            .min_size = c.min_size,
            .boxes = boxes.mutable_data<float>(),
            .scores = scores.mutable_data<float>(),
            .labels = labels.mutable_data<int32_t>(),
            .plus_one = c.plus_one,
            .max_log_scale = c.max_log_scale,
            .class_agnostic = c.class_agnostic};
  return p;
}

RCNN_OP_CASES(class_boxes, class_boxes_cases, class_boxes_bench_cases, prepare_class_boxes)

}  // namespace rcnn::kernels
