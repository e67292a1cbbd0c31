// Non-maximum suppression within groups (a level of proposals, a class of detections).
//
// Boxes are visited by (score descending, index ascending); one is kept unless its IoU with a box kept
// before it, of the same group, is greater than the threshold.
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

struct NmsArgs {
  int64_t n, m;          // images, boxes an image (fewer than 2^31)
  const float* boxes;    // (N, M, 4); a box with a NaN overlaps nothing
  const float* scores;   // (N, M); a row whose score is NaN is never kept
  const int32_t* group;  // (N, M): boxes suppress each other within a group; a row of group -1 is never kept
  float threshold;
  int64_t capacity;    // at most so many are kept in an image: the best of all groups together
  int32_t* keep;       // (N, capacity): rows in the order of visit, -1 pads
  int32_t* count;      // (N): rows kept
  float plus_one = 0;  // 1: corners are whole pixels (see spanned)
};

/// Sorts and compares 64 by 64 boxes a block, a bit a pair, in bands of 4096 boxes; one block a group
/// decides.
void nms_banded_bitmask(const Stream&, Workspace&, const NmsArgs& a);
/// One block per image visits the boxes one by one; the kernel to read first.
void nms_one_block(const Stream&, Workspace&, const NmsArgs& a);
/// Compares each box with every box kept so far.
void nms_reference(const Stream&, Workspace&, const NmsArgs& a);
/// Holds the boxes kept so far a coordinate an array, and compares a box with many of them at a time.
void nms_vector_scan(const Stream&, Workspace&, const NmsArgs& a);

inline constexpr Variant<NmsArgs> nms_variants[] = {
    OnCuda{"banded_bitmask", nms_banded_bitmask},
    OnCuda{"one_block", nms_one_block},
    {DeviceType::cpu, "vector_scan", nms_vector_scan},
    {DeviceType::cpu, "reference", nms_reference},
};
inline constexpr Op<NmsArgs> nms{"nms", "nms", nms_variants};

}  // namespace rcnn::kernels
