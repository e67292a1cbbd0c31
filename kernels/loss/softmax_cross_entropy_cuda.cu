#include "kernels/loss/loss_shares.h"
#include "kernels/loss/softmax_cross_entropy.h"

namespace rcnn::kernels {
namespace {

constexpr int kRows = kLossThreads / 32;  // rows that a block processes at a time: one per warp

/// log sum_k exp(x[k]), for every lane of a warp. The maximum is subtracted first, so that nothing overflows.
__device__ float warp_log_sum_exp(const float* x, int64_t c) {
  const unsigned lane = threadIdx.x % 32;
  float largest = -INFINITY;
  for (int64_t k = lane; k < c; k += 32) largest = x[k] > largest ? x[k] : largest;
  largest = warp_max(largest);
  float sum = 0;
  for (int64_t k = lane; k < c; k += 32) sum += std::exp(x[k] - largest);
  return largest + std::log(warp_sum(sum));
}

__device__ int64_t first_row() { return static_cast<int64_t>(blockIdx.x) * kRows + threadIdx.x / 32; }
__device__ int64_t row_stride() { return static_cast<int64_t>(gridDim.x) * kRows; }

/// One warp per row; each lane takes every 32nd class. Bottleneck: latency (two passes over a short row).
__global__ void softmax_cross_entropy_kernel(SoftmaxCrossEntropyArgs<float> a, LossShare* shares) {
  LossShare own;  // of the warp, in its first lane
  for (int64_t row = first_row(); row < a.rows; row += row_stride()) {
    const int32_t label = a.labels[row];
    if (label < 0) continue;  // for the whole warp, which has one label
    const float* x = a.logits + row * a.c;
    const float log_sum = warp_log_sum_exp(x, a.c);
    if (threadIdx.x % 32 != 0) continue;
    own.sum += static_cast<double>(log_sum - x[label]);
    ++own.count;
  }
  store_share(own.sum, own.count, shares);
}

/// One warp per row; each lane takes every 32nd class. Bottleneck: latency, as in forward.
__global__ void softmax_cross_entropy_backward_kernel(SoftmaxCrossEntropyBackwardArgs<float> a,
                                                      LabelCounts counts) {
  const float scale = gradient_scale(a.dloss, counts);
  const unsigned lane = threadIdx.x % 32;
  for (int64_t row = first_row(); row < a.rows; row += row_stride()) {
    const int32_t label = a.labels[row];
    const float* x = a.logits + row * a.c;
    float* dx = a.dlogits + row * a.c;
    if (label < 0) {
      if (a.accumulate == Accumulate::no)
        for (int64_t k = lane; k < a.c; k += 32) dx[k] = 0;
      continue;
    }
    const float log_sum = warp_log_sum_exp(x, a.c);
    for (int64_t k = lane; k < a.c; k += 32) {
      const float target = k == label ? 1.0f : 0.0f;
      put(dx[k], scale * (std::exp(x[k] - log_sum) - target), a.accumulate);
    }
  }
}

}  // namespace

void softmax_cross_entropy_warp_per_row(const Stream& stream, Workspace& workspace,
                                        const SoftmaxCrossEntropyArgs<float>& a) {
  const unsigned blocks = loss_blocks(a.rows, kRows);
  LossShare* shares = workspace.take<LossShare>(blocks);
  launch<softmax_cross_entropy_kernel>(stream, blocks, kLossThreads, 0, a, shares);
  finish_loss(stream, shares, blocks, a.loss);
}

void softmax_cross_entropy_backward_warp_per_row(const Stream& stream, Workspace& workspace,
                                                 const SoftmaxCrossEntropyBackwardArgs<float>& a) {
  const LabelCounts counts = count_labels(stream, workspace, a.labels, a.rows);
  launch<softmax_cross_entropy_backward_kernel>(stream, loss_blocks(a.rows, kRows), kLossThreads, 0, a,
                                                counts);
}

}  // namespace rcnn::kernels
