#include "kernels/block_sum.h"
#include "kernels/boxes/box_access.h"
#include "kernels/boxes/gather_boxes.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 1024;

/// Writes row `at` of image n.
__device__ void put_row(const GatherBoxesArgs& a, int64_t n, int64_t at, const Box& box, float score,
                        int32_t label) {
  const int64_t out = n * (a.k + a.extra) + at;
  store_aligned_box(a.out_boxes + out * 4, box);
  if (a.out_scores) a.out_scores[out] = score;
  if (a.out_labels) a.out_labels[out] = label;
}

/// One block per image, one thread per entry of `keep`, kThreads entries at a time. The place of an entry is
/// the number of entries before it that are not skipped. Then come the extra boxes and the padding.
/// Bottleneck: latency of memory and barriers.
__global__ void __launch_bounds__(kThreads) gather_boxes_kernel(GatherBoxesArgs a) {
  const int64_t n = blockIdx.x;
  int64_t count = 0;  // rows written so far
  for (int64_t first = 0; first < a.k; first += kThreads) {
    const int64_t j = first + threadIdx.x;
    const int32_t kept = j < a.k ? a.keep[n * a.k + j] : -1;
    const BlockScan scan = block_scan(kept >= 0);
    if (kept >= 0) {
      const int64_t row = n * a.m + kept;
      put_row(a, n, count + scan.before, load_aligned_box(a.boxes + row * 4), a.scores ? a.scores[row] : 0,
              a.labels ? a.labels[row] : -1);
    }
    count += scan.total;
  }
  const int64_t extra = a.extra_boxes ? a.extra_count[n] : 0;
  for (int64_t j = threadIdx.x; j < extra; j += kThreads)
    put_row(a, n, count + j, load_aligned_box(a.extra_boxes + (n * a.extra + j) * 4), 0, -1);
  count += extra;
  if (threadIdx.x == 0) a.out_count[n] = static_cast<int32_t>(count);
  for (int64_t at = count + threadIdx.x; at < a.k + a.extra; at += kThreads)
    put_row(a, n, at, {0, 0, 0, 0}, 0, -1);
}

}  // namespace

void gather_boxes_block_per_image(const Stream& stream, Workspace&, const GatherBoxesArgs& a) {
  check_box_alignment("gather_boxes", {a.boxes, a.extra_boxes, a.out_boxes});
  launch<gather_boxes_kernel>(stream, static_cast<unsigned>(a.n), kThreads, 0, a);
}

}  // namespace rcnn::kernels
