// The rows with the k highest scores of each level of each image, best first. The region proposal network
// decodes only these rows and passes them to NMS.
//
// Rows are ordered by (score descending, row ascending), so the result is the same on every device.
#pragma once

#include <limits>

#include "kernels/levels.h"
#include "kernels/op.h"

namespace rcnn::kernels {

struct TopKArgs {
  int64_t n = 0;
  int levels = 0;                                  // at most kMaxLevels
  LevelView<const float> scores[kMaxLevels] = {};  // (N, rows) each; fewer than 2^31 rows
  int64_t k = 0;
  float min_score = -std::numeric_limits<float>::infinity();  // only scores above it are taken, so NaN is not
  int32_t* index = nullptr;  // (N, levels, K): row within the level, padded with -1
};

/// Finds the k-th best key digit by digit, with many blocks per level, and sorts the keys up to it.
Run<TopKArgs> top_k_radix_select;
/// Sorts all rows.
Run<TopKArgs> top_k_reference;
/// Uses a histogram of the scores to find a bound that about k rows reach, and sorts only those rows.
Run<TopKArgs> top_k_histogram_select;

// clang-format off
inline constexpr Technique<TopKArgs> top_k_techniques[] = {
    {"radix_select", on_cuda, top_k_radix_select},
    {"histogram_select", on_cpu, top_k_histogram_select},
    {"reference", on_cpu, top_k_reference},
};
// clang-format on
inline constexpr Op top_k{"top_k", "top_k", column<0>(top_k_techniques)};

}  // namespace rcnn::kernels
