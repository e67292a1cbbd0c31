#include "kernels/block_sum.h"
#include "kernels/boxes/box_access.h"
#include "kernels/boxes/match_math.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;  // rows per block, and ground truths in shared memory at a time

/// Where `block_best` holds the largest overlap of the rows of this block with ground truth g: at
/// [image][ground truth][block].
__device__ int64_t block_best_at(const MatchArgs& a, int64_t g, int64_t blocks) {
  return (blockIdx.y * a.g + g) * blocks + blockIdx.x;
}

/// Matches rows, without promotion, and writes the block's largest overlaps to `block_best` unless that is
/// null. One thread per row of image blockIdx.y; the ground truths pass through shared memory. Overlaps are
/// not negative, so the maximum of their bits belongs to the largest one; most overlaps are 0 and need no
/// atomic. Bottleneck: arithmetic.
__global__ void match_rows_kernel(MatchArgs a, float* block_best) {
  RCNN_SHARED(float4, gts, [kThreads]);
  RCNN_SHARED(float, areas, [kThreads]);
  RCNN_SHARED(int, largest, [kThreads]);
  const MatchImage image(a, blockIdx.y);
  const int own = static_cast<int>(threadIdx.x);
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kThreads + own;
  // Threads that have no row, or one that takes no part, stay for the barriers with an empty box, which
  // overlaps nothing.
  Box box{0, 0, 0, 0};
  bool valid = row < image.rows;
  if (valid) {
    const Box own_box = load_aligned_box(image.boxes + row * 4);
    valid = image.takes_part(own_box);
    if (valid) box = spanned(own_box, image.plus_one);
  }
  const float area = box_area(box);

  BestMatch best;
  for (int64_t first = 0; first < image.gt_count; first += kThreads) {
    const int64_t left = image.gt_count - first;
    const int count = left < kThreads ? static_cast<int>(left) : kThreads;
    if (own < count) {
      const Box gt = spanned(load_aligned_box(image.gt + (first + own) * 4), image.plus_one);
      gts[own] = make_float4(gt.x1, gt.y1, gt.x2, gt.y2);
      areas[own] = box_area(gt);
      largest[own] = 0;
    }
    __syncthreads();
    for (int g = 0; g < count; ++g) {
      const float overlap = iou(box, area, to_box(gts[g]), areas[g]);
      best.offer(overlap, first + g);
      if (block_best && overlap > 0) atomicMax(&largest[g], __float_as_int(overlap));
    }
    __syncthreads();
    if (block_best && own < count)
      block_best[block_best_at(a, first + own, gridDim.x)] = __int_as_float(largest[own]);
  }
  if (row < a.r) image.matched[row] = !valid ? -2 : image.gt_count == 0 ? -1 : decide(best, a);
}

/// Sets best_of_gt (N, G) to the largest value of `block_best` over the blocks of an image. One block per
/// ground truth blockIdx.x of image blockIdx.y. Bottleneck: memory latency.
__global__ void best_of_gt_kernel(MatchArgs a, const float* block_best, int64_t blocks, float* best_of_gt) {
  const int64_t n = blockIdx.y, g = blockIdx.x;
  if (g >= a.gt_count[n]) return;  // the whole block
  RCNN_SHARED(int, largest, [1]);
  if (threadIdx.x == 0) *largest = 0;
  __syncthreads();
  const int64_t at = n * a.g + g;
  float best = 0;
  for (int64_t i = threadIdx.x; i < blocks; i += kThreads) {
    const float other = block_best[at * blocks + i];
    best = other > best ? other : best;
  }
  best = warp_max(best);
  if (threadIdx.x % 32 == 0) atomicMax(largest, __float_as_int(best));
  __syncthreads();
  if (threadIdx.x == 0) best_of_gt[at] = __int_as_float(*largest);
}

/// Promotes rows, with the same blocks and threads as match_rows_kernel. Only blocks that hold a best row of
/// some ground truth read their rows again, and those are few. Bottleneck: latency.
__global__ void promote_kernel(MatchArgs a, const float* block_best, const float* best_of_gt) {
  const MatchImage image(a, blockIdx.y);
  const float* best = best_of_gt + blockIdx.y * a.g;
  bool holds_a_best = false;
  for (int64_t g = threadIdx.x; g < image.gt_count; g += kThreads)
    holds_a_best |= best[g] > 0 && block_best[block_best_at(a, g, gridDim.x)] == best[g];
  if (!__syncthreads_or(holds_a_best)) return;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (row < image.rows) promote(image, best, row);
}

}  // namespace

void match_thread_per_row(const Stream& stream, Workspace& workspace, const MatchArgs& a) {
  check_box_alignment("match", {a.boxes, a.gt});
  const unsigned blocks = blocks_for(a.r, kThreads), images = static_cast<unsigned>(a.n);
  const dim3 grid(blocks, images);
  float* block_best = a.promote_best ? workspace.take<float>(a.n * a.g * blocks) : nullptr;
  launch<match_rows_kernel>(stream, grid, kThreads, 0, a, block_best);
  if (!a.promote_best) return;
  float* best_of_gt = workspace.take<float>(a.n * a.g);
  launch<best_of_gt_kernel>(stream, dim3(static_cast<unsigned>(a.g), images), kThreads, 0, a, block_best,
                            blocks, best_of_gt);
  launch<promote_kernel>(stream, grid, kThreads, 0, a, block_best, best_of_gt);
}

}  // namespace rcnn::kernels
