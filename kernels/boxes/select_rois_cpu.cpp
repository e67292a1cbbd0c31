#include "core/parallel.h"
#include "kernels/boxes/box_math.h"
#include "kernels/boxes/select_rois.h"

namespace rcnn::kernels {

void select_rois_reference(const Stream&, Workspace&, const SelectRoisArgs& a) {
  parallel_for(a.n * a.s, 256, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at) {
      const int64_t n = at / a.s, row = a.rows[at];
      store_box(a.rois + at * 4, {0.f, 0.f, 0.f, 0.f});
      store_box(a.deltas + at * 4, {0.f, 0.f, 0.f, 0.f});
      a.labels[at] = -1;
      if (row < 0) continue;
      const Box roi = load_box(a.candidates + (n * a.r + row) * 4);
      store_box(a.rois + at * 4, roi);
      a.labels[at] = 0;
      const int64_t g = a.matched[n * a.r + row];
      if (g < 0) continue;
      a.labels[at] = a.gt_labels[n * a.g + g];
      encode(spanned(roi, a.plus_one), spanned(load_box(a.gt + (n * a.g + g) * 4), a.plus_one), a.weights,
             a.deltas + at * 4);
    }
  });
}

}  // namespace rcnn::kernels
