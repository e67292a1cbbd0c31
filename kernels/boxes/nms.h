// Non-maximum suppression within groups (a level of proposals, a class of detections).
//
// Boxes are visited by (score descending, index ascending); one is kept unless its IoU with a box kept
// before it, of the same group, is greater than the threshold.
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

struct NmsArgs {
  int64_t n = 0, m = 0;           // images, boxes an image (fewer than 2^31)
  const float* boxes = nullptr;   // (N, M, 4); a box with a NaN overlaps nothing
  const float* scores = nullptr;  // (N, M); a row whose score is NaN is never kept
  // (N, M): boxes suppress each other within a group; a row of group -1 is never kept.
  const int32_t* group = nullptr;
  float threshold = 1;
  int64_t capacity = 0;      // at most so many are kept in an image: the best of all groups together
  int32_t* keep = nullptr;   // (N, capacity): rows in the order of visit, -1 pads
  int32_t* count = nullptr;  // (N): rows kept
  float plus_one = 0;        // 1: corners are whole pixels (see spanned)
};

/// Sorts and compares 64 by 64 boxes a block, a bit a pair, in bands of 5120 boxes; one block a group
/// decides.
Run<NmsArgs> nms_banded_bitmask;
/// One block per image visits the boxes one by one; the kernel to read first.
Run<NmsArgs> nms_one_block;
/// Compares each box with every box kept so far.
Run<NmsArgs> nms_reference;
/// Holds the boxes kept so far a coordinate an array, and compares a box with many of them at a time.
Run<NmsArgs> nms_vector_scan;

// clang-format off
inline constexpr Technique<NmsArgs> nms_techniques[] = {
    {"banded_bitmask", on_cuda, nms_banded_bitmask},
    {"one_block", on_cuda, nms_one_block},
    {"vector_scan", on_cpu, nms_vector_scan},
    {"reference", on_cpu, nms_reference},
};
// clang-format on
inline constexpr Op nms{"nms", "nms", column<0>(nms_techniques)};

}  // namespace rcnn::kernels
