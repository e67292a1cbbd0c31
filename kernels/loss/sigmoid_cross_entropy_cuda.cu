#include "kernels/loss/loss_shares.h"
#include "kernels/loss/sigmoid_cross_entropy.h"

namespace rcnn::kernels {
namespace {

__device__ int64_t first_label() { return static_cast<int64_t>(blockIdx.x) * kLossThreads + threadIdx.x; }
__device__ int64_t label_stride() { return static_cast<int64_t>(gridDim.x) * kLossThreads; }

/// One thread per label of all images and levels, in a grid-stride loop. A logit is read only if its label is
/// >= 0, which is rare. Bottleneck: memory (the labels).
__global__ void sigmoid_cross_entropy_kernel(SigmoidCrossEntropyArgs<float> a, int64_t size, int64_t total,
                                             LossShare* shares) {
  LossShare own;
  for (int64_t i = first_label(); i < size; i += label_stride()) {
    const int32_t label = a.labels[i];
    if (label < 0) continue;
    const LevelRow at = level_row(a.logits, total, i);
    const float x = a.logits[at.level].data[at.row];
    own.sum += static_cast<double>(sigmoid_cross_entropy_term(x, static_cast<float>(label)));
    ++own.count;
  }
  store_share(own.sum, own.count, shares);
}

/// One thread per label, as in forward. Bottleneck: memory (labels read, gradients written).
__global__ void sigmoid_cross_entropy_backward_kernel(SigmoidCrossEntropyBackwardArgs<float> a, int64_t size,
                                                      int64_t total, LabelCounts counts) {
  const float scale = gradient_scale(a.dloss, counts);
  for (int64_t i = first_label(); i < size; i += label_stride()) {
    const int32_t label = a.labels[i];
    const LevelRow at = level_row(a.logits, total, i);
    float* gradient = a.dlogits[at.level].data;
    if (!gradient) continue;
    const Accumulate accumulate = a.accumulate[at.level];
    if (label >= 0) {
      const float x = a.logits[at.level].data[at.row];
      put(gradient[at.row], scale * (sigmoid(x) - static_cast<float>(label)), accumulate);
    } else if (accumulate == Accumulate::no) {
      gradient[at.row] = 0;
    }
  }
}

}  // namespace

void sigmoid_cross_entropy_thread_per_label(const Stream& stream, Workspace& workspace,
                                            const SigmoidCrossEntropyArgs<float>& a) {
  const int64_t total = total_rows(a.logits, a.levels), size = a.n * total;
  const unsigned blocks = loss_blocks(size, kLossThreads);
  LossShare* shares = workspace.take<LossShare>(blocks);
  launch<sigmoid_cross_entropy_kernel>(stream, blocks, kLossThreads, 0, a, size, total, shares);
  finish_loss(stream, shares, blocks, a.loss);
}

void sigmoid_cross_entropy_backward_thread_per_label(const Stream& stream, Workspace& workspace,
                                                     const SigmoidCrossEntropyBackwardArgs<float>& a) {
  const int64_t total = total_rows(a.logits, a.levels), size = a.n * total;
  const LabelCounts counts = count_labels(stream, workspace, a.labels, size);
  launch<sigmoid_cross_entropy_backward_kernel>(stream, loss_blocks(size, kLossThreads), kLossThreads, 0, a,
                                                size, total, counts);
}

}  // namespace rcnn::kernels
