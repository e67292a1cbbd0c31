// Proposals before NMS: the anchors that top_k chose, moved by the deltas that the region proposal network
// predicts, and clipped to their image.
#pragma once

#include <limits>

#include "kernels/boxes/box_math.h"
#include "kernels/levels.h"
#include "kernels/op.h"

namespace rcnn::kernels {

struct ProposalsArgs {
  int64_t n = 0;
  int levels = 0;                                  // at most kMaxLevels
  LevelView<const float> scores[kMaxLevels] = {};  // (N, rows) each: logits
  LevelView<const float> deltas[kMaxLevels] = {};  // (N, rows, 4) each, with the same rows
  const float* anchors = nullptr;     // (sum of rows, 4), level after level, shared by the images
  const float* image_size = nullptr;  // (N, 2): height, width
  int64_t k = 0;
  const int32_t* index = nullptr;   // (N, levels, K) from top_k: row within the level, padded with -1
  float weights[4] = {1, 1, 1, 1};  // factors of dx, dy, dw and dh: see decode
  float min_size = 0;               // minimum side, in pixels
  float* boxes = nullptr;           // (N, levels K, 4)
  float* box_scores = nullptr;      // (N, levels K): the logit
  // (N, levels K): the level, or -1 for a row that must not be used, whose box and score are then 0: it is
  // padding, a side is shorter than min_size after clipping, the box is not finite, or the score is below
  // min_score.
  int32_t* group = nullptr;
  float plus_one = 0;  // 1: corners are whole pixels (see spanned, decode and clip)
  float max_log_scale = static_cast<float>(kMaxLogScale);     // `limit` of decode; infinity: none
  float min_score = -std::numeric_limits<float>::infinity();  // the minimum logit
  const float* min_size_scale = nullptr;                      // (N): factor of min_size per image; null: 1
};

Run<ProposalsArgs> proposals_thread_per_proposal, proposals_reference;

// clang-format off
inline constexpr Technique<ProposalsArgs> proposals_techniques[] = {
    {"thread_per_proposal", on_cuda, proposals_thread_per_proposal},
    {"reference", on_cpu, proposals_reference},
};
// clang-format on
inline constexpr Op proposals{"proposals", "proposals", column<0>(proposals_techniques)};

}  // namespace rcnn::kernels
