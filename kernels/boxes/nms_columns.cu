// NMS of detections: one block per class.
//
// The candidates of an image are a matrix with a row for each RoI and a column for each class, and boxes
// suppress each other within a column only. Few of them have a score above the threshold. So one block per
// column and image collects the candidates that take part, sorts them and visits them one by one, all in
// shared memory; classes do not wait for each other, and the work depends on the number of candidates, not on
// the size of the matrix. Then every kept box finds its place in the order of the whole image by counting the
// kept boxes before it.
#include <algorithm>

#include "kernels/boxes/box_access.h"
#include "kernels/boxes/nms.h"
#include "kernels/boxes/score_order.h"
#include "kernels/boxes/sort_in_block.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kMaxRows = 1024;  // of a column; torchvision has 1000 proposals
constexpr uint64_t kAfterAll = ~uint64_t{0};

/// The keys of the boxes that are kept: `count` (N) of them, in no order, at the beginning of each row of (N,
/// stride).
struct Kept {
  uint64_t* keys;
  int* count;
  int64_t stride;
};

/// Clears the output and the counters. One thread per element.
__global__ void clear_kernel(NmsArgs a, Kept kept) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (at < a.n * a.capacity) a.keep[at] = -1;
  if (at < a.n) kept.count[at] = 0;
}

/// Visits the boxes of column blockIdx.x of image blockIdx.y. A box that is not marked as lost when its turn
/// comes is kept, and the threads mark the boxes behind it that it overlaps. Shared memory: 25 KiB.
/// Bottleneck: latency, one barrier for each box kept.
__global__ void __launch_bounds__(kThreads) column_kernel(NmsArgs a, Kept kept) {
  RCNN_SHARED(uint64_t, keys, [kMaxRows]);
  RCNN_SHARED(float4, boxes, [kMaxRows]);
  RCNN_SHARED(uint8_t, lost, [kMaxRows]);
  RCNN_SHARED(int, counter, [1]);
  const int64_t image = blockIdx.y, first = image * a.m;
  const int own = static_cast<int>(threadIdx.x), rows = static_cast<int>(a.m / a.columns);
  if (own == 0) counter[0] = 0;
  __syncthreads();
  for (int i = own; i < rows; i += kThreads) {
    const int64_t row = i * a.columns + blockIdx.x;
    const float score = a.scores[first + row];
    if (a.group[first + row] >= 0 && !std::isnan(score))
      keys[atomicAdd(&counter[0], 1)] = score_key(score, row);
  }
  __syncthreads();
  const int count = counter[0];
  if (count == 0) return;  // the whole block

  int width = 1;
  while (width < count) width *= 2;
  for (int i = count + own; i < width; i += kThreads) keys[i] = kAfterAll;
  __syncthreads();
  sort_in_block(keys, width);
  for (int i = own; i < count; i += kThreads) {
    const Box box = spanned(load_aligned_box(a.boxes + (first + row_of_key(keys[i])) * 4), a.plus_one);
    store_aligned_box(&boxes[i].x, box);
    lost[i] = 0;
  }
  __syncthreads();

  // Every thread counts. All of them read the same marks, so the whole block takes the same branches. A mark
  // is complete before it is read, and no thread writes one that another thread is still reading: marks are
  // written behind `place` and read up to it. The keys of the boxes kept move to the front, where nothing
  // else reads them.
  int staying = 0;
  for (int place = 0; place < count && staying < a.capacity; ++place) {
    if (lost[place]) continue;
    if (own == 0) keys[staying] = keys[place];
    ++staying;
    const Box box = to_box(boxes[place]);
    const float area = box_area(box);
    for (int later = place + 1 + own; later < count; later += kThreads) {
      const Box other = to_box(boxes[later]);
      if (iou(box, area, other, box_area(other)) > a.threshold) lost[later] = 1;
    }
    __syncthreads();
  }
  if (own == 0) counter[0] = atomicAdd(&kept.count[image], staying);
  __syncthreads();
  for (int i = own; i < staying; i += kThreads) kept.keys[image * kept.stride + counter[0] + i] = keys[i];
}

/// Writes the kept rows of image blockIdx.y in the order of scores. One thread per kept box: its place is the
/// number of smaller keys, which pass through shared memory (2 KiB). Bottleneck: latency; for thousands of
/// boxes, arithmetic.
__global__ void __launch_bounds__(kThreads) place_kernel(NmsArgs a, Kept kept) {
  RCNN_SHARED(uint64_t, others, [kThreads]);
  const int64_t image = blockIdx.y;
  const int own = static_cast<int>(threadIdx.x), at = static_cast<int>(blockIdx.x) * kThreads + own;
  const int count = kept.count[image];
  if (at == 0) a.count[image] = static_cast<int32_t>(count < a.capacity ? count : a.capacity);
  if (at - own >= count) return;  // the whole block
  const uint64_t* keys = kept.keys + image * kept.stride;
  const uint64_t key = at < count ? keys[at] : kAfterAll;
  int place = 0;
  for (int begin = 0; begin < count; begin += kThreads) {
    __syncthreads();  // all threads have read the previous keys
    others[own] = begin + own < count ? keys[begin + own] : kAfterAll;
    __syncthreads();
    for (int i = 0; i < kThreads; ++i) place += others[i] < key ? 1 : 0;
  }
  if (at < count && place < a.capacity) a.keep[image * a.capacity + place] = row_of_key(key);
}

}  // namespace

bool columns_fit(const NmsArgs& a) {
  return a.columns > 0 && a.m % a.columns == 0 && a.m <= a.columns * kMaxRows;
}

void nms_columns(const Stream& stream, Workspace& workspace, const NmsArgs& a) {
  check_box_alignment("nms", {a.boxes});
  const unsigned images = static_cast<unsigned>(a.n);
  const int64_t stride = a.columns * std::min(a.m / a.columns, a.capacity);
  const Kept kept{workspace.take<uint64_t>(a.n * stride), workspace.take<int>(a.n), stride};
  launch<clear_kernel>(stream, blocks_for(a.n * std::max<int64_t>(1, a.capacity), kThreads), kThreads, 0, a,
                       kept);
  if (stride > 0)
    launch<column_kernel>(stream, dim3(static_cast<unsigned>(a.columns), images), kThreads, 0, a, kept);
  launch<place_kernel>(stream, dim3(std::max(1u, blocks_for(stride, kThreads)), images), kThreads, 0, a,
                       kept);
}

}  // namespace rcnn::kernels
