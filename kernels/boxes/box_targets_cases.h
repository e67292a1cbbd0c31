#pragma once

#include "kernels/boxes/box_cases.h"
#include "kernels/boxes/box_targets.h"

namespace rcnn::kernels {

struct BoxTargetsCase {
  int64_t n, r, g;
  bool shared;  // the images share their boxes
  float plus_one = 0;
};

inline std::vector<BoxTargetsCase> box_targets_cases() {
  return {{1, 101, 7, true}, {2, 523, 5, true}, {3, 53, 3, false}, {2, 37, 3, true, 1},
          {2, 29, 0, true},  {2, 0, 3, false},  {0, 5, 3, true}};
}

/// The anchors of nano-fpn at 4 x 240 x 320, and of a ResNet-50 FPN at 800 x 1344.
inline std::vector<BoxTargetsCase> box_targets_bench_cases() {
  return {{4, 37800, 16, true}, {1, 268569, 20, true}};
}

RCNN_CASE_FIELDS(BoxTargetsCase, n, r, g, shared, plus_one)

inline BoxTargetsCase case_of(const BoxTargetsArgs& a, ArgumentReader&) {
  return {a.n, a.r, a.g, a.box_stride == 0, a.plus_one};
}

inline Prepared<BoxTargetsArgs> prepare_box_targets(const BoxTargetsCase& c, Filler fill) {
  Prepared<BoxTargetsArgs> p;
  const Tensor boxes = random_sound_boxes(fill, p.inputs, {c.shared ? 1 : c.n, c.r, 4}, 300);
  const Tensor gt = random_sound_boxes(fill, p.inputs, {c.n, c.g, 4}, 300);
  const Tensor matched = fill.integers(p.inputs, {c.n, c.r}, -2, static_cast<int>(c.g) - 1);
  const Tensor deltas = fill.poisoned<float>(p.outputs, {c.n, c.r, 4});
  p.args = {.n = c.n,
            .r = c.r,
            .boxes = boxes.data<float>(),
            .box_stride = c.shared ? 0 : c.r * 4,
            .g = c.g,
            .gt = gt.data<float>(),
            .matched = matched.data<int32_t>(),
            .weights = {1, 1, 2, 2},
            .deltas = deltas.mutable_data<float>(),
            .plus_one = c.plus_one};
  return p;
}

RCNN_OP_CASES(box_targets, box_targets_cases, box_targets_bench_cases, prepare_box_targets)

}  // namespace rcnn::kernels
