// The rows with the k highest scores of each level of each image, best first: what the proposals keep before
// NMS.
//
// Rows are ordered by (score descending, row ascending), so the result is the same on every device.
#pragma once

#include "kernels/levels.h"
#include "kernels/op.h"

namespace rcnn::kernels {

struct TopKArgs {
  int64_t n;
  int levels;                                 // at most kMaxLevels
  LevelView<const float> scores[kMaxLevels];  // (N, rows) each; fewer than 2^31 rows
  int64_t k;
  float min_score;  // only higher scores are taken, a NaN never
  int32_t* index;   // (N, levels, K): row within the level, -1 where there are fewer than k
};

/// Finds the k-th best key digit by digit, over many blocks a level, and sorts those up to it.
void top_k_radix_select(const Stream&, Workspace&, const TopKArgs& a);
/// Sorts every row.
void top_k_reference(const Stream&, Workspace&, const TopKArgs& a);
/// A histogram of the scores finds a bound that about k rows reach; only those are sorted.
void top_k_histogram_select(const Stream&, Workspace&, const TopKArgs& a);

inline constexpr Variant<TopKArgs> top_k_variants[] = {
    OnCuda{"radix_select", top_k_radix_select},
    {DeviceType::cpu, "histogram_select", top_k_histogram_select},
    {DeviceType::cpu, "reference", top_k_reference},
};
inline constexpr Op<TopKArgs> top_k{"top_k", "top_k", top_k_variants};

}  // namespace rcnn::kernels
