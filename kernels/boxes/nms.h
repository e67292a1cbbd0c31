// Non-maximum suppression within groups (a level of proposals, a class of detections).
//
// Boxes are visited in the order (score descending, row ascending). A box is kept unless its IoU with a box
// of the same group that was kept before it is greater than the threshold.
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

struct NmsArgs {
  int64_t n = 0, m = 0;           // images, boxes per image (fewer than 2^31)
  const float* boxes = nullptr;   // (N, M, 4); a box with a NaN overlaps nothing
  const float* scores = nullptr;  // (N, M); a row whose score is NaN is never kept
  // (N, M): boxes suppress each other within a group; a row of group -1 is never kept.
  const int32_t* group = nullptr;
  float threshold = 1;
  int64_t capacity = 0;      // maximum number of boxes kept per image: the best of all groups together
  int32_t* keep = nullptr;   // (N, capacity): rows in the order of the visits, padded with -1
  int32_t* count = nullptr;  // (N): rows kept
  float plus_one = 0;        // 1: corners are whole pixels (see spanned)
  // If not 0, the M boxes are a matrix with this many columns, row by row, and a column belongs to one group:
  // each of its boxes has that group or -1.
  int64_t columns = 0;
};

/// For columns of at most 1024 boxes: one block per column.
Run<NmsArgs> nms_columns;
bool columns_fit(const NmsArgs& a);

/// Sorts the boxes by group and score, compares them 64 by 64 with one bit per pair, and then decides group
/// by group, in bands of 5120 boxes.
Run<NmsArgs> nms_banded_bitmask;
/// One block per image visits the boxes one by one; the kernel to read first.
Run<NmsArgs> nms_one_block;
/// Compares each box with every box kept so far.
Run<NmsArgs> nms_reference;
/// Holds the boxes kept so far with one array per coordinate, and compares a box with many of them at a time.
Run<NmsArgs> nms_vector_scan;

// clang-format off
inline constexpr Technique<NmsArgs> nms_techniques[] = {
    {"columns", on_cuda, {nms_columns, columns_fit}},
    {"banded_bitmask", on_cuda, nms_banded_bitmask},
    {"one_block", on_cuda, nms_one_block},
    {"vector_scan", on_cpu, nms_vector_scan},
    {"reference", on_cpu, nms_reference},
};
// clang-format on
inline constexpr Op nms{"nms", "nms", column<0>(nms_techniques)};

}  // namespace rcnn::kernels
