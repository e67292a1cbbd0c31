#pragma once

#include "kernels/boxes/box_cases.h"
#include "kernels/boxes/nms.h"

namespace rcnn::kernels {

struct NmsCase {
  int64_t n, m;
  int groups;
  float threshold;
  int64_t capacity;
  float plus_one = 0;
  int columns = 0;  // `groups` is not used then
};

inline std::vector<NmsCase> nms_cases() {
  return {
      {1, 100, 1, 0.5f, 100},
      {3, 509, 3, 0.3f, 509},
      {2, 700, 1, 0.7f, 23},      // capacity reached early
      {2, 301, 90, 0.5f, 301},    // many groups with a few boxes each
      {1, 257, 2, 0, 257},        // any overlap suppresses
      {1, 257, 2, 1, 257},        // no overlap suppresses
      {1, 5900, 12, 0.3f, 3000},  // more than one band of 5120 boxes, with a group across the border
      {2, 1, 1, 0.5f, 4},
      {1, 37, 1, 0.5f, 0},
      {2, 0, 1, 0.5f, 3},
      {0, 5, 1, 0.5f, 3},
      {2, 301, 3, 0.3f, 301, 1},
      // Columns: a few long ones, many short ones, one of the longest, and none; few boxes kept, or none.
      {2, 7 * 301, 0, 0.5f, 50, 0, 7},
      {1, 90 * 13, 0, 0.3f, 2000, 1, 90},
      {1, 1024, 0, 0.4f, 1024, 0, 1},
      {2, 3 * 257, 0, 0.5f, 1, 0, 3},
      {1, 3 * 257, 0, 0.5f, 0, 0, 3},
      {2, 0, 0, 0.5f, 3, 0, 4},
      {0, 6, 0, 0.5f, 3, 0, 3},
      {1, 5 * 1030, 0, 0.5f, 99, 0, 5},  // too long
  };
}

/// Proposals of nano-fpn at 4 x 240 x 320, of a ResNet-50 FPN, its detections, and 12,000 boxes at once.
inline std::vector<NmsCase> nms_bench_cases() {
  return {{4, 3000, 3, 0.7f, 500},
          {8, 5000, 5, 0.7f, 1000},
          {1, 90000, 0, 0.5f, 100, 0, 90},
          {1, 12000, 1, 0.7f, 12000}};
}

RCNN_CASE_FIELDS(NmsCase, n, m, groups, threshold, capacity, plus_one, columns)

inline NmsCase case_of(const NmsArgs& a, ArgumentReader& reader) {
  int groups = 0;
  if (a.columns == 0)
    for (const int32_t group : reader.read(a.group, a.n * a.m)) groups = std::max(groups, group + 1);
  return {a.n, a.m, groups, a.threshold, a.capacity, a.plus_one, static_cast<int>(a.columns)};
}

inline Prepared<NmsArgs> prepare_nms(const NmsCase& c, Filler fill) {
  Prepared<NmsArgs> p;
  const Tensor boxes = random_boxes(fill, p.inputs, {c.n, c.m, 4}, 500);
  const Tensor scores = random_scores(fill, p.inputs, {c.n, c.m});
  const Tensor group = fill.integers(p.inputs, {c.n, c.m}, -1, c.columns > 0 ? 2 : c.groups - 1);
  if (c.columns > 0) {  // a third of the boxes takes no part
    int32_t* groups = group.mutable_data<int32_t>();
    for (int64_t i = 0; i < c.n * c.m; ++i)
      if (groups[i] >= 0) groups[i] = static_cast<int32_t>(i % c.columns) + 1;
  }
  const Tensor keep = fill.poisoned<int32_t>(p.outputs, {c.n, c.capacity});
  const Tensor count = fill.poisoned<int32_t>(p.outputs, {c.n});
  p.args = {.n = c.n,
            .m = c.m,
            .boxes = boxes.data<float>(),
            .scores = scores.data<float>(),
            .group = group.data<int32_t>(),
            .threshold = c.threshold,
            .capacity = c.capacity,
            .keep = keep.mutable_data<int32_t>(),
            .count = count.mutable_data<int32_t>(),
            .plus_one = c.plus_one,
            .columns = c.columns};
  return p;
}

RCNN_OP_CASES(nms, nms_cases, nms_bench_cases, prepare_nms)

}  // namespace rcnn::kernels
