// The RoIs that train the head: the sampled candidates, each with its class and with the deltas that move it
// onto its ground truth.
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

struct SelectRoisArgs {
  int64_t n = 0, r = 0, g = 0, s = 0;  // images; candidates, ground truths and samples per image
  const float* candidates = nullptr;   // (N, R, 4)
  const int32_t* matched = nullptr;    // (N, R) from match
  const int32_t* rows = nullptr;       // (N, S) from sample, padded with -1
  const float* gt = nullptr;           // (N, G, 4)
  const int32_t* gt_labels = nullptr;  // (N, G): class, 1 or more
  float weights[4] = {1, 1, 1, 1};     // factors of dx, dy, dw and dh: see encode
  float* rois = nullptr;               // (N, S, 4), padded with 0
  int32_t* labels = nullptr;           // (N, S): class, 0 for background, -1 for padding
  float* deltas = nullptr;             // (N, S, 4): 0 for background and padding
  float plus_one = 0;                  // 1: corners are whole pixels (see spanned)
};

Run<SelectRoisArgs> select_rois_reference, select_rois_thread_per_row;

// clang-format off
inline constexpr Technique<SelectRoisArgs> select_rois_techniques[] = {
    {"thread_per_row", on_cuda, select_rois_thread_per_row},
    {"reference", on_cpu, select_rois_reference},
};
// clang-format on
inline constexpr Op select_rois{"select_rois", "select_rois", column<0>(select_rois_techniques)};

}  // namespace rcnn::kernels
