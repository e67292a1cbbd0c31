#include "kernels/loss/loss_shares.h"

namespace rcnn::kernels {
namespace {

/// One block, one thread per share. Bottleneck: latency of memory.
__global__ void finish_loss_kernel(const LossShare* shares, unsigned blocks, float* loss) {
  const LossShare own = threadIdx.x < blocks ? shares[threadIdx.x] : LossShare{};
  const double sum = block_sum(own.sum);
  const int64_t count = block_sum(own.count);
  if (threadIdx.x == 0) *loss = static_cast<float>(sum / divisor(count));
}

/// One thread per label, in a grid-stride loop. Bottleneck: memory.
__global__ void count_labels_kernel(const int32_t* labels, int64_t size, int32_t* counts) {
  int32_t count = 0;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kLossThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kLossThreads + threadIdx.x; i < size; i += stride)
    count += labels[i] >= 0;
  count = block_sum(count);
  if (threadIdx.x == 0) counts[blockIdx.x] = count;
}

}  // namespace

void finish_loss(const Stream& stream, const LossShare* shares, unsigned blocks, float* loss) {
  launch<finish_loss_kernel>(stream, 1, kLossThreads, 0, shares, blocks, loss);
}

LabelCounts count_labels(const Stream& stream, Workspace& workspace, const int32_t* labels, int64_t size) {
  const unsigned blocks = loss_blocks(size, kLossThreads);
  int32_t* counts = workspace.take<int32_t>(blocks);
  launch<count_labels_kernel>(stream, blocks, kLossThreads, 0, labels, size, counts);
  return {counts, blocks};
}

}  // namespace rcnn::kernels
