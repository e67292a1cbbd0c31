#include "core/parallel.h"
#include "kernels/box_math.h"
#include "kernels/proposals.h"

namespace rcnn::kernels {

void proposals_reference(const Stream&, Workspace&, const ProposalsArgs& a) {
  const float* level_anchors[kMaxLevels];
  const float* next = a.anchors;
  for (int l = 0; l < a.levels; ++l) {
    level_anchors[l] = next;
    next += a.deltas[l].rows * 4;
  }
  parallel_for(a.n * a.levels * a.k, 256, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at) {
      const int64_t n = at / (a.levels * a.k), l = at / a.k % a.levels, row = a.index[at];
      store_box(a.boxes + at * 4, {0.f, 0.f, 0.f, 0.f});
      a.box_scores[at] = 0;
      a.group[at] = -1;
      if (row < 0) continue;
      const Box<float> box = decode(load_box(level_anchors[l] + row * 4),
                                    a.deltas[l].data + (n * a.deltas[l].rows + row) * 4, a.weights);
      const Box<float> inside = clip(box, a.image_size[n * 2], a.image_size[n * 2 + 1]);
      if (!is_finite(box) || !is_large_enough(inside, a.min_size)) continue;
      store_box(a.boxes + at * 4, inside);
      a.box_scores[at] = a.scores[l].data[n * a.scores[l].rows + row];
      a.group[at] = static_cast<int32_t>(l);
    }
  });
}

}  // namespace rcnn::kernels
