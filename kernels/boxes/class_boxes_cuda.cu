#include "kernels/boxes/box_access.h"
#include "kernels/boxes/class_boxes.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;

/// One thread per pair of a RoI and a class of image blockIdx.y. Few pairs pass the threshold; the others
/// write zeros. Bottleneck: memory.
__global__ void class_boxes_kernel(ClassBoxesArgs a) {
  const auto rows = static_cast<uint32_t>(a.r * (a.c - 1)), classes = static_cast<uint32_t>(a.c - 1);
  const uint32_t row = blockIdx.x * kThreads + threadIdx.x;
  if (row >= rows) return;
  const int64_t n = blockIdx.y, roi = row / classes, c = 1 + row % classes;
  const int64_t in = (n * a.r + roi) * a.c + c, out = n * rows + row;
  Box inside{0, 0, 0, 0};
  float score = 0;
  int32_t label = -1;
  const float probability = a.probabilities[in];
  if (roi < a.count[n] && probability > a.score_threshold) {
    float delta[4];
    store_box(delta, load_aligned_box(a.deltas + (a.class_agnostic ? n * a.r + roi : in) * 4));
    Box clipped;
    if (regress(a, n, load_aligned_box(a.rois + (n * a.r + roi) * 4), delta, a.min_size, clipped)) {
      inside = clipped;
      score = probability;
      label = static_cast<int32_t>(c);
    }
  }
  store_aligned_box(a.boxes + out * 4, inside);
  a.scores[out] = score;
  a.labels[out] = label;
}

}  // namespace

void class_boxes_thread_per_row(const Stream& stream, Workspace&, const ClassBoxesArgs& a) {
  check_box_alignment("class_boxes", {a.deltas, a.rois, a.boxes});
  const dim3 grid(blocks_for(a.r * (a.c - 1), kThreads), static_cast<unsigned>(a.n));
  launch<class_boxes_kernel>(stream, grid, kThreads, 0, a);
}

}  // namespace rcnn::kernels
