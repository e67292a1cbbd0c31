#pragma once

#include "kernels/boxes/box_cases.h"
#include "kernels/boxes/select_rois.h"

namespace rcnn::kernels {

struct SelectRoisCase {
  int64_t n, r, g, s;
  float plus_one = 0;
};

inline std::vector<SelectRoisCase> select_rois_cases() {
  return {{1, 101, 7, 32}, {2, 331, 5, 259}, {3, 23, 3, 41},    {2, 31, 0, 5},
          {2, 0, 3, 5},    {2, 7, 3, 0},     {2, 61, 3, 37, 1}, {0, 7, 3, 5}};
}

/// The RoIs of nano-fpn at 4 x 240 x 320, and of a ResNet-50 FPN.
inline std::vector<SelectRoisCase> select_rois_bench_cases() {
  return {{4, 516, 16, 64}, {8, 2020, 20, 512}};
}

RCNN_CASE_FIELDS(SelectRoisCase, n, r, g, s, plus_one)

inline SelectRoisCase case_of(const SelectRoisArgs& a, ArgumentReader&) {
  return {a.n, a.r, a.g, a.s, a.plus_one};
}

inline Prepared<SelectRoisArgs> prepare_select_rois(const SelectRoisCase& c, Filler fill) {
  Prepared<SelectRoisArgs> p;
  const Tensor candidates = random_sound_boxes(fill, p.inputs, {c.n, c.r, 4}, 300);
  const Tensor matched = fill.integers(p.inputs, {c.n, c.r}, -2, static_cast<int>(c.g) - 1);
  const Tensor rows = fill.integers(p.inputs, {c.n, c.s}, -1, static_cast<int>(c.r) - 1);
  const Tensor gt = random_sound_boxes(fill, p.inputs, {c.n, c.g, 4}, 300);
  const Tensor gt_labels = fill.integers(p.inputs, {c.n, c.g}, 1, 90);
  const Tensor rois = fill.poisoned<float>(p.outputs, {c.n, c.s, 4});
  const Tensor labels = fill.poisoned<int32_t>(p.outputs, {c.n, c.s});
  const Tensor deltas = fill.poisoned<float>(p.outputs, {c.n, c.s, 4});
  p.args = {.n = c.n,
            .r = c.r,
            .g = c.g,
            .s = c.s,
            .candidates = candidates.data<float>(),
            .matched = matched.data<int32_t>(),
            .rows = rows.data<int32_t>(),
            .gt = gt.data<float>(),
            .gt_labels = gt_labels.data<int32_t>(),
            .weights = {10, 10, 5, 5},
            .rois = rois.mutable_data<float>(),
            .labels = labels.mutable_data<int32_t>(),
            .deltas = deltas.mutable_data<float>(),
            .plus_one = c.plus_one};
  return p;
}

RCNN_OP_CASES(select_rois, select_rois_cases, select_rois_bench_cases, prepare_select_rois)

}  // namespace rcnn::kernels
