#include "core/parallel.h"
#include "kernels/elementwise/dropout_math.h"

namespace rcnn::kernels {
namespace {

constexpr int64_t kGrain = 4096;

}  // namespace

template <class T>
void dropout_reference(const Stream&, Workspace&, const DropoutArgs<T>& a) {
  parallel_for(a.count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) a.y[i] = after_dropout(a.x[i], a.key, *a.key.step, i);
  });
}

template <class T>
void dropout_backward_reference(const Stream&, Workspace&, const DropoutBackwardArgs<T>& a) {
  parallel_for(a.count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      put(a.dx[i], after_dropout(a.dy[i], a.key, *a.key.step, i), a.accumulate);
  });
}

template void dropout_reference(const Stream&, Workspace&, const DropoutArgs<float>&);
template void dropout_reference(const Stream&, Workspace&, const DropoutArgs<double>&);
template void dropout_backward_reference(const Stream&, Workspace&, const DropoutBackwardArgs<float>&);
template void dropout_backward_reference(const Stream&, Workspace&, const DropoutBackwardArgs<double>&);

}  // namespace rcnn::kernels
