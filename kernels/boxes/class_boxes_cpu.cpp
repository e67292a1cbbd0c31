#include "core/parallel.h"
#include "kernels/boxes/box_math.h"
#include "kernels/boxes/class_boxes.h"

namespace rcnn::kernels {

void class_boxes_reference(const Stream&, Workspace&, const ClassBoxesArgs& a) {
  parallel_for(a.n * a.r, 16, [&](int64_t begin, int64_t end) {
    for (int64_t roi = begin; roi < end; ++roi) {
      const int64_t n = roi / a.r;
      const bool padding = roi % a.r >= a.count[n];
      for (int64_t c = 1; c < a.c; ++c) {
        const int64_t in = roi * a.c + c, out = roi * (a.c - 1) + c - 1;
        store_box(a.boxes + out * 4, {0.f, 0.f, 0.f, 0.f});
        a.scores[out] = 0;
        a.labels[out] = -1;
        if (padding || !(a.probabilities[in] > a.score_threshold)) continue;
        const float* delta = a.deltas + (a.class_agnostic ? roi : in) * 4;
        Box inside;
        if (!regress(a, n, load_box(a.rois + roi * 4), delta, a.min_size, inside)) continue;
        store_box(a.boxes + out * 4, inside);
        a.scores[out] = a.probabilities[in];
        a.labels[out] = static_cast<int32_t>(c);
      }
    }
  });
}

}  // namespace rcnn::kernels
