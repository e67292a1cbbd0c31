// Copies the rows that NMS kept, in its order, into arrays of fixed capacity. In training the ground truth
// follows them, so that the head is trained on good boxes from the first step on.
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

struct GatherBoxesArgs {
  int64_t n = 0, m = 0, k = 0;
  const float* boxes = nullptr;          // (N, M, 4)
  const float* scores = nullptr;         // (N, M); null only without out_scores
  const int32_t* labels = nullptr;       // (N, M); null only without out_labels
  const int32_t* keep = nullptr;         // (N, K): rows to take; entries of -1 are skipped
  int64_t extra = 0;                     // capacity for extra boxes
  const float* extra_boxes = nullptr;    // (N, extra, 4), appended after the kept rows; null: none
  const int32_t* extra_count = nullptr;  // (N): number of extra boxes; read only with extra_boxes
  float* out_boxes = nullptr;            // (N, K + extra, 4), padded with 0
  float* out_scores = nullptr;           // (N, K + extra), 0 for extra boxes and padding; may be null
  int32_t* out_labels = nullptr;         // (N, K + extra), -1 for extra boxes and padding; may be null
  int32_t* out_count = nullptr;          // (N): rows that are not padding
};

Run<GatherBoxesArgs> gather_boxes_reference, gather_boxes_block_per_image;

// clang-format off
inline constexpr Technique<GatherBoxesArgs> gather_boxes_techniques[] = {
    {"block_per_image", on_cuda, gather_boxes_block_per_image},
    {"reference", on_cpu, gather_boxes_reference},
};
// clang-format on
inline constexpr Op gather_boxes{"gather_boxes", "gather_boxes", column<0>(gather_boxes_techniques)};

}  // namespace rcnn::kernels
