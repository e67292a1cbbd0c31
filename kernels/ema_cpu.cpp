#include "kernels/ema.h"
#include "kernels/ema_math.h"

namespace rcnn::kernels {

void ema_reference(const Stream&, Workspace&, const EmaArgs& a) {
  if (a.skip && *a.skip != 0) return;
  const float decay = *a.decay;
  for_chunks(a.tensors, a.count, a.chunks, [&](int64_t, const EmaTensor& t, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) t.average[i] = ema_step(decay, t.value[i], t.average[i]);
  });
}

}  // namespace rcnn::kernels
