#include "kernels/boxes/anchors.h"
#include "kernels/boxes/box_access.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;

/// One thread per anchor of all levels. Bottleneck: memory.
__global__ void anchors_kernel(AnchorsArgs a, int64_t total) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (at >= total) return;
  const float* cells = a.cells;
  int level = 0;
  int64_t row = at;  // within its level
  for (;;) {
    const int64_t rows = a.h[level] * a.w[level] * a.cell_anchors[level];
    if (row < rows) break;
    row -= rows;
    cells += a.cell_anchors[level++] * 4;
  }
  // 32-bit divisions suffice: there are fewer than 2^31 anchors.
  const auto count = static_cast<uint32_t>(a.cell_anchors[level]), w = static_cast<uint32_t>(a.w[level]);
  const uint32_t cell = static_cast<uint32_t>(row) / count, i = static_cast<uint32_t>(row) % count;
  store_aligned_box(a.anchors + at * 4, anchor_at(load_aligned_box(cells + i * 4), cell / w, cell % w,
                                                  a.stride_y[level], a.stride_x[level]));
}

}  // namespace

void anchors_thread_per_anchor(const Stream& stream, Workspace&, const AnchorsArgs& a) {
  check_box_alignment("anchors", {a.cells, a.anchors});
  int64_t total = 0;
  for (int l = 0; l < a.levels; ++l) total += a.h[l] * a.w[l] * a.cell_anchors[l];
  launch<anchors_kernel>(stream, blocks_for(total, kThreads), kThreads, 0, a, total);
}

}  // namespace rcnn::kernels
