// What the losses have in common on the GPU. A loss is summed by two launches: many blocks each store their
// share, then one block adds the shares in a fixed order. Its gradient needs the number of labels >= 0 first:
// one launch stores a count per block, and every block of the gradient's launch adds up these counts.
#pragma once

#include <algorithm>

#include "core/context.h"
#include "kernels/block_sum.h"
#include "kernels/loss/loss_math.h"

namespace rcnn::kernels {

inline constexpr int kLossThreads = 512;

/// The number of blocks for `items`, where a block processes `at_once` of them in each iteration of its loop.
/// It is chosen for two iterations, but limited to the number of threads of the block that adds up the
/// results, one per thread. That many blocks fill any GPU.
inline unsigned loss_blocks(int64_t items, int64_t at_once) {
  return std::min<unsigned>(blocks_for(items, 2 * at_once), kLossThreads);
}

/// Stores the block's share, the sum over its threads, in shares[blockIdx.x]. All threads must call it.
__device__ inline void store_share(double sum, int64_t count, LossShare* shares) {
  const double block_total = block_sum(sum);
  const int64_t block_count = block_sum(count);
  if (threadIdx.x == 0) {
    shares[blockIdx.x].sum = block_total;
    shares[blockIdx.x].count = block_count;
  }
}

/// loss = (sum of the shares' sums) / max(1, sum of the shares' counts).
void finish_loss(const Stream& stream, const LossShare* shares, unsigned blocks, float* loss);

/// The number of labels >= 0 that each block has counted.
struct LabelCounts {
  const int32_t* counts;
  unsigned blocks;
};
LabelCounts count_labels(const Stream& stream, Workspace& workspace, const int32_t* labels, int64_t size);

/// dloss / max(1, number of labels >= 0), the factor of all gradients. All threads of a block must call it.
__device__ inline float gradient_scale(const float* dloss, const LabelCounts& labels) {
  const int32_t count = threadIdx.x < labels.blocks ? labels.counts[threadIdx.x] : 0;
  return *dloss / static_cast<float>(divisor(block_sum(count)));
}

}  // namespace rcnn::kernels
