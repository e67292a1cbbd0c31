#include "kernels/optim/moving_average.h"

namespace rcnn::kernels {

void moving_average_reference(const Stream&, Workspace&, const MovingAverageArgs& a) {
  if (a.skip && *a.skip != 0) return;
  const float share = *a.share;
  for_chunks(a.tensors, a.count, a.chunks, [&](int64_t, const Averaged& t, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) t.average[i] = averaged(t.average[i], t.value[i], share);
  });
}

}  // namespace rcnn::kernels
