#pragma once

#include "kernels/boxes/box_cases.h"
#include "kernels/boxes/gather_boxes.h"

namespace rcnn::kernels {

struct GatherBoxesCase {
  int64_t n, m, k, extra;
  bool scores, labels;
};

inline std::vector<GatherBoxesCase> gather_boxes_cases() {
  return {
      {2, 53, 11, 0, true, true},   {3, 17, 23, 5, false, false}, {1, 7, 3, 2, true, false},
      {2, 53, 1031, 3, true, true}, {2, 31, 0, 4, false, false},  {2, 0, 3, 2, false, false},
      {0, 5, 3, 1, true, true},
  };
}

/// Proposals of nano-fpn at 4 x 240 x 320 in training, and detections of a ResNet-50 FPN.
inline std::vector<GatherBoxesCase> gather_boxes_bench_cases() {
  return {{4, 3000, 500, 32, false, false}, {1, 90000, 100, 0, true, true}};
}

RCNN_CASE_FIELDS(GatherBoxesCase, n, m, k, extra, scores, labels)

inline GatherBoxesCase case_of(const GatherBoxesArgs& a, ArgumentReader&) {
  return {a.n, a.m, a.k, a.extra, a.out_scores != nullptr, a.out_labels != nullptr};
}

inline Prepared<GatherBoxesArgs> prepare_gather_boxes(const GatherBoxesCase& c, Filler fill) {
  Prepared<GatherBoxesArgs> p;
  const Tensor boxes = random_boxes(fill, p.inputs, {c.n, c.m, 4}, 500);
  const Tensor scores = fill.numbers<float>(p.inputs, {c.n, c.m});
  const Tensor labels = fill.integers(p.inputs, {c.n, c.m}, 1, 90);
  // Without boxes (m = 0), every entry is -1: nothing was kept.
  const Tensor keep = fill.integers(p.inputs, {c.n, c.k}, -1, static_cast<int>(c.m) - 1);
  const Tensor extra = random_boxes(fill, p.inputs, {c.n, c.extra, 4}, 500);
  const Tensor extra_count = fill.integers(p.inputs, {c.n}, 0, static_cast<int>(c.extra));
  const int64_t rows = c.k + c.extra;
  const Tensor out_boxes = fill.poisoned<float>(p.outputs, {c.n, rows, 4});
  const Tensor out_count = fill.poisoned<int32_t>(p.outputs, {c.n});
  p.args = {.n = c.n,
            .m = c.m,
            .k = c.k,
            .boxes = boxes.data<float>(),
            .scores = c.scores ? scores.data<float>() : nullptr,
            .labels = c.labels ? labels.data<int32_t>() : nullptr,
            .keep = keep.data<int32_t>(),
            .extra = c.extra,
            .extra_boxes = c.extra ? extra.data<float>() : nullptr,
            .extra_count = c.extra ? extra_count.data<int32_t>() : nullptr,
            .out_boxes = out_boxes.mutable_data<float>(),
            .out_scores = nullptr,
            .out_labels = nullptr,
            .out_count = out_count.mutable_data<int32_t>()};
  if (c.scores) p.args.out_scores = fill.poisoned<float>(p.outputs, {c.n, rows}).mutable_data<float>();
  if (c.labels) p.args.out_labels = fill.poisoned<int32_t>(p.outputs, {c.n, rows}).mutable_data<int32_t>();
  return p;
}

RCNN_OP_CASES(gather_boxes, gather_boxes_cases, gather_boxes_bench_cases, prepare_gather_boxes)

}  // namespace rcnn::kernels
