#include "core/parallel.h"
#include "kernels/boxes/box_math.h"
#include "kernels/boxes/box_targets.h"

namespace rcnn::kernels {

void box_targets_reference(const Stream&, Workspace&, const BoxTargetsArgs& a) {
  parallel_for(a.n * a.r, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at) {
      const int64_t n = at / a.r, row = at % a.r, g = a.matched[at];
      float* target = a.deltas + at * 4;
      if (g < 0)
        store_box(target, {0.f, 0.f, 0.f, 0.f});
      else
        encode(spanned(load_box(a.boxes + n * a.box_stride + row * 4), a.plus_one),
               spanned(load_box(a.gt + (n * a.g + g) * 4), a.plus_one), a.weights, target);
    }
  });
}

}  // namespace rcnn::kernels
