#include "kernels/elementwise/dropout.h"
#include "kernels/lanes.h"

namespace rcnn::kernels {

// A thread draws a number for each of four neighbouring elements. Bottleneck: arithmetic (the random
// numbers).

void dropout_thread_per_four(const Stream& stream, Workspace&, const DropoutArgs<float>& a) {
  map_elements(stream, a.count, a.x, a.y, a.key);
}

void dropout_backward_thread_per_four(const Stream& stream, Workspace&, const DropoutBackwardArgs<float>& a) {
  map_elements(stream, a.count, a.dy, a.dx, a.key, a.accumulate);
}

}  // namespace rcnn::kernels
