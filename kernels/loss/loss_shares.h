// What the losses have in common on the GPU. A loss is summed by a launch of many blocks, each of which
// leaves its share, and a launch of one block that adds up the shares in a fixed order. Its gradient needs
// the number of labels >= 0 first: a launch counts them by block, and every block of the gradient adds up the
// counts.
#pragma once

#include <algorithm>

#include "core/context.h"
#include "kernels/block_sum.h"
#include "kernels/loss/loss_math.h"

namespace rcnn::kernels {

inline constexpr int kLossThreads = 512;

/// Blocks for `items` of which a block takes `at_once` at a time, twice or more often. They fill any GPU, and
/// are no more than the threads of the block that adds up what they leave.
inline unsigned loss_blocks(int64_t items, int64_t at_once) {
  return std::min<unsigned>(blocks_for(items, 2 * at_once), kLossThreads);
}

/// Leaves the block's share, the sum over its threads, in shares[blockIdx.x]. All threads make the call.
__device__ inline void store_share(double sum, int64_t count, LossShare* shares) {
  const double block_total = block_sum(sum);
  const int64_t block_count = block_sum(count);
  if (threadIdx.x == 0) {
    shares[blockIdx.x].sum = block_total;
    shares[blockIdx.x].count = block_count;
  }
}

/// loss = the sum of all shares / max(1, the labels of all shares).
void finish_loss(const Stream& stream, const LossShare* shares, unsigned blocks, float* loss);

/// Numbers of labels >= 0, by block.
struct LabelCounts {
  const int32_t* counts;
  unsigned blocks;
};
LabelCounts count_labels(const Stream& stream, Workspace& workspace, const int32_t* labels, int64_t size);

/// dloss / max(1, number of labels >= 0), the factor of all gradients. All threads of a block make the call.
__device__ inline float gradient_scale(const float* dloss, const LabelCounts& labels) {
  const int32_t count = threadIdx.x < labels.blocks ? labels.counts[threadIdx.x] : 0;
  return *dloss / static_cast<float>(divisor(block_sum(count)));
}

}  // namespace rcnn::kernels
