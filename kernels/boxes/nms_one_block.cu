// NMS as a first CUDA kernel: one block per image visits the boxes one by one.
//
// First every row finds its place in the order of the visits by counting the rows that come before it. Then a
// block goes through that order. A box that is not marked as lost when its turn comes is kept, and the
// threads of the block share the work of comparing it with all boxes behind it: each thread marks the
// overlapping boxes that it finds. A barrier follows, so that the marks are complete before the next box is
// visited.
//
// kernels/boxes/nms_cuda.cu returns the same rows with two barriers for every 64 boxes, whereas this kernel
// needs one for each box that it keeps. docs/nms.md compares them.
#include "kernels/boxes/box_access.h"
#include "kernels/boxes/nms.h"
#include "kernels/boxes/score_order.h"

namespace rcnn::kernels {
namespace {

constexpr int kRankThreads = 256;
constexpr int kVisitThreads = 1024;

/// Whether row `at` of all images may be kept.
__device__ bool takes_part(const NmsArgs& a, int64_t at) {
  return a.group[at] >= 0 && !std::isnan(a.scores[at]);
}

/// A number that is different for each row of an image; the rows with smaller numbers are visited first. Rows
/// that take no part come last, because no score has descending bits as large as theirs.
__device__ uint64_t visit_key(const NmsArgs& a, int64_t image, int64_t row) {
  const int64_t at = image * a.m + row;
  const uint64_t last = uint64_t{0xFFFFFFFF} << 32;
  return takes_part(a, at) ? score_key(a.scores[at], row) : last | static_cast<uint64_t>(row);
}

/// Fills `order` (N, M) with the rows of each image in the order of the visits. One thread per row of image
/// blockIdx.y: a row's place is the number of rows with a smaller key. All threads of a warp read the same
/// score at the same time. Bottleneck: arithmetic, M^2 comparisons per image.
__global__ void rank_kernel(NmsArgs a, int32_t* order) {
  const int64_t image = blockIdx.y, row = static_cast<int64_t>(blockIdx.x) * kRankThreads + threadIdx.x;
  if (row >= a.m) return;
  const uint64_t own = visit_key(a, image, row);
  int64_t place = 0;
  for (int64_t other = 0; other < a.m; ++other) place += visit_key(a, image, other) < own ? 1 : 0;
  order[image * a.m + place] = static_cast<int32_t>(row);
}

/// Visits the boxes of image blockIdx.x and writes the rows kept. One block per image; for each box that is
/// kept, a thread compares every 1024th box behind it. `all_lost` (N, M) is scratch memory, one mark for each
/// place of the order. Bottleneck: latency, one barrier for each box kept, while the GPU's other
/// multiprocessors are idle.
__global__ void __launch_bounds__(kVisitThreads)
    visit_kernel(NmsArgs a, const int32_t* all_orders, uint8_t* all_lost) {
  const int64_t image = blockIdx.x, own = threadIdx.x, first = image * a.m;
  const int32_t* order = all_orders + first;
  uint8_t* lost = all_lost + first;
  int32_t* keep = a.keep + image * a.capacity;
  const auto box_at = [&](int64_t place) {
    return spanned(load_aligned_box(a.boxes + (first + order[place]) * 4), a.plus_one);
  };

  for (int64_t place = own; place < a.m; place += kVisitThreads) lost[place] = 0;
  __syncthreads();

  // Every thread counts. All of them read the same marks, so the whole block takes the same branches.
  int64_t kept = 0;
  for (int64_t place = 0; place < a.m && kept < a.capacity; ++place) {
    if (!takes_part(a, first + order[place])) break;  // nor does any row behind it
    if (lost[place]) continue;
    if (own == 0) keep[kept] = order[place];
    ++kept;

    const Box box = box_at(place);
    const int32_t group = a.group[first + order[place]];
    for (int64_t later = place + 1 + own; later < a.m; later += kVisitThreads)
      if (a.group[first + order[later]] == group && iou(box, box_at(later)) > a.threshold) lost[later] = 1;
    // The next mark must be complete before it is read. No thread writes a mark that another one is still
    // reading: marks are written behind `place` and read up to it.
    __syncthreads();
  }

  for (int64_t to = kept + own; to < a.capacity; to += kVisitThreads) keep[to] = -1;
  if (own == 0) a.count[image] = static_cast<int32_t>(kept);
}

}  // namespace

void nms_one_block(const Stream& stream, Workspace& workspace, const NmsArgs& a) {
  check_box_alignment("nms", {a.boxes});
  const unsigned images = static_cast<unsigned>(a.n);
  int32_t* order = workspace.take<int32_t>(a.n * a.m);
  uint8_t* lost = workspace.take<uint8_t>(a.n * a.m);
  launch<rank_kernel>(stream, dim3(blocks_for(a.m, kRankThreads), images), kRankThreads, 0, a, order);
  launch<visit_kernel>(stream, images, kVisitThreads, 0, a, order, lost);
}

}  // namespace rcnn::kernels
