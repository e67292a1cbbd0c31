// Anchors: the reference boxes of the region proposal network (Ren et al., "Faster R-CNN", section 3.1.1).
// Every cell of every level has a few anchors, of different sizes and shapes.
//
//     anchors[level, y, x, a] = cells[level, a] + (x stride_x, y stride_y, x stride_x, y stride_y)
#pragma once

#include "kernels/levels.h"
#include "kernels/op.h"

namespace rcnn::kernels {

struct AnchorsArgs {
  int levels = 0;                                              // at most kMaxLevels
  int64_t h[kMaxLevels] = {}, w[kMaxLevels] = {};              // cells of each level's map
  float stride_y[kMaxLevels] = {}, stride_x[kMaxLevels] = {};  // input pixels from one cell to the next
  int cell_anchors[kMaxLevels] = {};                           // A of each level
  const float* cells = nullptr;  // (sum of A, 4), around the origin, level after level
  float* anchors = nullptr;      // (sum of H W A, 4), in the order (level, y, x, a)
};

Run<AnchorsArgs> anchors_thread_per_anchor, anchors_reference;

// clang-format off
inline constexpr Technique<AnchorsArgs> anchors_techniques[] = {
    {"thread_per_anchor", on_cuda, anchors_thread_per_anchor},
    {"reference", on_cpu, anchors_reference},
};
// clang-format on
inline constexpr Op anchors{"anchors", "anchors", column<0>(anchors_techniques)};

}  // namespace rcnn::kernels
