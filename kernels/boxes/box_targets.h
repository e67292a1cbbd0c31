// The deltas that move each anchor onto the ground truth it was matched with: in training, the RPN learns to
// predict them.
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

struct BoxTargetsArgs {
  int64_t n = 0, r = 0;          // images, rows per image
  const float* boxes = nullptr;  // (N, R, 4), or (R, 4) shared by the images
  int64_t box_stride = 0;        // floats from image to image: 4 R, or 0 when they share the boxes
  int64_t g = 0;
  const float* gt = nullptr;         // (N, G, 4)
  const int32_t* matched = nullptr;  // (N, R) from match
  float weights[4] = {1, 1, 1, 1};   // factors of dx, dy, dw and dh: see encode
  float* deltas = nullptr;           // (N, R, 4): 0 where matched is negative
  float plus_one = 0;                // 1: corners are whole pixels (see spanned)
};

Run<BoxTargetsArgs> box_targets_reference, box_targets_thread_per_row;

// clang-format off
inline constexpr Technique<BoxTargetsArgs> box_targets_techniques[] = {
    {"thread_per_row", on_cuda, box_targets_thread_per_row},
    {"reference", on_cpu, box_targets_reference},
};
// clang-format on
inline constexpr Op box_targets{"box_targets", "box_targets", column<0>(box_targets_techniques)};

}  // namespace rcnn::kernels
