#include "core/parallel.h"
#include "kernels/boxes/box_math.h"
#include "kernels/boxes/gather_boxes.h"

namespace rcnn::kernels {

void gather_boxes_reference(const Stream&, Workspace&, const GatherBoxesArgs& a) {
  const int64_t rows = a.k + a.extra;
  parallel_chunks(a.n, [&](int64_t n) {
    int64_t count = 0;
    const auto append = [&](const Box& box, float score, int32_t label) {
      const int64_t at = n * rows + count++;
      store_box(a.out_boxes + at * 4, box);
      if (a.out_scores) a.out_scores[at] = score;
      if (a.out_labels) a.out_labels[at] = label;
    };
    for (int64_t j = 0; j < a.k; ++j) {
      if (a.keep[n * a.k + j] < 0) continue;
      const int64_t row = n * a.m + a.keep[n * a.k + j];
      append(load_box(a.boxes + row * 4), a.scores ? a.scores[row] : 0, a.labels ? a.labels[row] : -1);
    }
    const int64_t extra = a.extra_boxes ? a.extra_count[n] : 0;
    for (int64_t j = 0; j < extra; ++j) append(load_box(a.extra_boxes + (n * a.extra + j) * 4), 0, -1);
    a.out_count[n] = static_cast<int32_t>(count);
    while (count < rows) append({0, 0, 0, 0}, 0, -1);
  });
}

}  // namespace rcnn::kernels
