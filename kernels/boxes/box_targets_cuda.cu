#include "kernels/boxes/box_access.h"
#include "kernels/boxes/box_targets.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;

/// One thread per row of image blockIdx.y. Bottleneck: memory.
__global__ void box_targets_kernel(BoxTargetsArgs a) {
  const int64_t n = blockIdx.y, row = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (row >= a.r) return;
  const int64_t at = n * a.r + row, g = a.matched[at];
  float target[4] = {0, 0, 0, 0};
  if (g >= 0)
    encode(spanned(load_aligned_box(a.boxes + n * a.box_stride + row * 4), a.plus_one),
           spanned(load_aligned_box(a.gt + (n * a.g + g) * 4), a.plus_one), a.weights, target);
  store_aligned_box(a.deltas + at * 4, load_box(target));
}

}  // namespace

void box_targets_thread_per_row(const Stream& stream, Workspace&, const BoxTargetsArgs& a) {
  check_box_alignment("box_targets", {a.boxes, a.gt, a.deltas});
  launch<box_targets_kernel>(stream, dim3(blocks_for(a.r, kThreads), static_cast<unsigned>(a.n)), kThreads, 0,
                             a);
}

}  // namespace rcnn::kernels
