#include "kernels/boxes/box_access.h"
#include "kernels/boxes/select_rois.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;

/// One thread per sampled row of image blockIdx.y. Bottleneck: memory latency.
__global__ void select_rois_kernel(SelectRoisArgs a) {
  const int64_t n = blockIdx.y, sample = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (sample >= a.s) return;
  const int64_t at = n * a.s + sample, row = a.rows[at];
  Box roi{0, 0, 0, 0};
  float target[4] = {0, 0, 0, 0};
  int32_t label = -1;
  if (row >= 0) {
    roi = load_aligned_box(a.candidates + (n * a.r + row) * 4);
    label = 0;
    const int64_t g = a.matched[n * a.r + row];
    if (g >= 0) {
      label = a.gt_labels[n * a.g + g];
      encode(spanned(roi, a.plus_one), spanned(load_aligned_box(a.gt + (n * a.g + g) * 4), a.plus_one),
             a.weights, target);
    }
  }
  store_aligned_box(a.rois + at * 4, roi);
  store_aligned_box(a.deltas + at * 4, load_box(target));
  a.labels[at] = label;
}

}  // namespace

void select_rois_thread_per_row(const Stream& stream, Workspace&, const SelectRoisArgs& a) {
  check_box_alignment("select_rois", {a.candidates, a.gt, a.rois, a.deltas});
  launch<select_rois_kernel>(stream, dim3(blocks_for(a.s, kThreads), static_cast<unsigned>(a.n)), kThreads, 0,
                             a);
}

}  // namespace rcnn::kernels
