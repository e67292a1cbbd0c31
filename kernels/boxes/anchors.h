// Anchors: the reference boxes of the region proposal network (Ren et al., "Faster R-CNN", section 3.1.1), a
// few of different size and shape around every cell of every level.
//
//     anchors[level, y, x, a] = cells[level, a] + (x stride_x, y stride_y, x stride_x, y stride_y)
#pragma once

#include "kernels/levels.h"
#include "kernels/op.h"

namespace rcnn::kernels {

struct AnchorsArgs {
  int levels = 0;                                              // at most kMaxLevels
  int64_t h[kMaxLevels] = {}, w[kMaxLevels] = {};              // cells of a level's map
  float stride_y[kMaxLevels] = {}, stride_x[kMaxLevels] = {};  // pixels of the input from cell to cell
  int cell_anchors[kMaxLevels] = {};                           // A of each level
  const float* cells = nullptr;  // (sum A, 4) around the origin, level after level
  float* anchors = nullptr;      // (sum H W A, 4), in the order (level, y, x, a)
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
