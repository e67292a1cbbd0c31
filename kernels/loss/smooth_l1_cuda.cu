#include "kernels/boxes/box_access.h"
#include "kernels/loss/loss_shares.h"
#include "kernels/loss/smooth_l1.h"

namespace rcnn::kernels {
namespace {

/// The column whose deltas take part in the loss, in a row with this label, which is positive.
__device__ int64_t column_of(int64_t columns, int32_t label) { return columns == 1 ? 0 : label; }

__device__ int64_t first_item() { return static_cast<int64_t>(blockIdx.x) * kLossThreads + threadIdx.x; }
__device__ int64_t item_stride() { return static_cast<int64_t>(gridDim.x) * kLossThreads; }

/// One thread per label of all images and levels, in a grid-stride loop. Deltas are read only if the label is
/// positive, which is rare. Bottleneck: memory (the labels).
__global__ void smooth_l1_kernel(SmoothL1Args<float> a, int64_t size, int64_t total, LossShare* shares) {
  LossShare own;
  for (int64_t i = first_item(); i < size; i += item_stride()) {
    const int32_t label = a.labels[i];
    own.count += label >= 0;
    if (label <= 0) continue;
    const LevelRow at = level_row(a.prediction, total, i);
    const float* prediction =
        a.prediction[at.level].data + (at.row * a.columns + column_of(a.columns, label)) * 4;
    const float* target = a.targets + i * 4;
    for (int k = 0; k < 4; ++k)
      own.sum += static_cast<double>(smooth_l1_term(prediction[k] - target[k], a.beta));
  }
  store_share(own.sum, own.count, shares);
}

/// One thread per row and column (four deltas) of all images and levels, in a grid-stride loop. Most
/// gradients are zeros, which are written 16 bytes at a time. Bottleneck: memory.
__global__ void smooth_l1_backward_kernel(SmoothL1BackwardArgs<float> a, int64_t items, int64_t total,
                                          LabelCounts counts) {
  const float scale = gradient_scale(a.dloss, counts);
  const auto columns = static_cast<uint32_t>(a.columns);
  for (int64_t item = first_item(); item < items; item += item_stride()) {
    const uint32_t i = static_cast<uint32_t>(item) / columns, column = static_cast<uint32_t>(item) % columns;
    const int32_t label = a.labels[i];
    const LevelRow at = level_row(a.prediction, total, i);
    if (!a.dprediction[at.level].data) continue;
    const Accumulate accumulate = a.accumulate[at.level];
    const int64_t offset = (at.row * a.columns + column) * 4;
    float* gradient = a.dprediction[at.level].data + offset;
    if (label > 0 && column == column_of(a.columns, label)) {
      const float* prediction = a.prediction[at.level].data + offset;
      const float* target = a.targets + static_cast<int64_t>(i) * 4;
      for (int k = 0; k < 4; ++k)
        put(gradient[k], scale * smooth_l1_slope(prediction[k] - target[k], a.beta), accumulate);
    } else if (accumulate == Accumulate::no) {
      *reinterpret_cast<float4*>(gradient) = make_float4(0, 0, 0, 0);
    }
  }
}

}  // namespace

void smooth_l1_thread_per_label(const Stream& stream, Workspace& workspace, const SmoothL1Args<float>& a) {
  const int64_t total = total_rows(a.prediction, a.levels), size = a.n * total;
  const unsigned blocks = loss_blocks(size, kLossThreads);
  LossShare* shares = workspace.take<LossShare>(blocks);
  launch<smooth_l1_kernel>(stream, blocks, kLossThreads, 0, a, size, total, shares);
  finish_loss(stream, shares, blocks, a.loss);
}

void smooth_l1_backward_thread_per_column(const Stream& stream, Workspace& workspace,
                                          const SmoothL1BackwardArgs<float>& a) {
  for (int level = 0; level < a.levels; ++level)
    check_box_alignment("smooth_l1_backward", {a.dprediction[level].data});
  const int64_t total = total_rows(a.prediction, a.levels), size = a.n * total, items = size * a.columns;
  const LabelCounts counts = count_labels(stream, workspace, a.labels, size);
  launch<smooth_l1_backward_kernel>(stream, loss_blocks(items, kLossThreads), kLossThreads, 0, a, items,
                                    total, counts);
}

}  // namespace rcnn::kernels
