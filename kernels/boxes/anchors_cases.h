#pragma once

#include "kernels/boxes/anchors.h"
#include "kernels/cases.h"

namespace rcnn::kernels {

struct AnchorsLevel {
  int64_t h, w;
  float stride;
  int cell_anchors;
};
using AnchorsCase = std::vector<AnchorsLevel>;

inline std::vector<AnchorsCase> anchors_cases() {
  return {
      {{7, 5, 16, 9}},
      {{13, 17, 4, 3},
       {7, 9, 8, 1},
       {0, 0, 16, 2},
       {1, 1, 32, 5}},  // a different number of anchors on each level, one level empty
      {},
  };
}

/// nano-fpn at 240 x 320, and a ResNet-50 FPN at 800 x 1344.
inline std::vector<AnchorsCase> anchors_bench_cases() {
  return {
      {{60, 80, 4, 6}, {30, 40, 8, 6}, {15, 20, 16, 6}},
      {{200, 336, 4, 3}, {100, 168, 8, 3}, {50, 84, 16, 3}, {25, 42, 32, 3}, {13, 21, 64, 3}},
  };
}

RCNN_CASE_FIELDS(AnchorsLevel, h, w, stride, cell_anchors)

inline AnchorsCase case_of(const AnchorsArgs& a, ArgumentReader&) {
  AnchorsCase c;
  for (int l = 0; l < a.levels; ++l) c.push_back({a.h[l], a.w[l], a.stride_y[l], a.cell_anchors[l]});
  return c;
}

inline Prepared<AnchorsArgs> prepare_anchors(const AnchorsCase& c, Filler fill) {
  Prepared<AnchorsArgs> p;
  p.args.levels = static_cast<int>(c.size());
  int64_t cells = 0, rows = 0;
  for (size_t l = 0; l < c.size(); ++l) {
    p.args.h[l] = c[l].h;
    p.args.w[l] = c[l].w;
    p.args.stride_y[l] = c[l].stride;
    p.args.stride_x[l] = c[l].stride * 1.25f;
    p.args.cell_anchors[l] = c[l].cell_anchors;
    cells += c[l].cell_anchors;
    rows += c[l].h * c[l].w * c[l].cell_anchors;
  }
  p.args.cells = fill.numbers<float>(p.inputs, {cells, 4}).data<float>();
  p.args.anchors = fill.poisoned<float>(p.outputs, {rows, 4}).mutable_data<float>();
  return p;
}

RCNN_OP_CASES(anchors, anchors_cases, anchors_bench_cases, prepare_anchors)

}  // namespace rcnn::kernels
