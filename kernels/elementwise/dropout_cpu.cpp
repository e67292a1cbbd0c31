#include "core/parallel.h"
#include "kernels/elementwise/dropout.h"

namespace rcnn::kernels {

template <class T>
void dropout_reference(const Stream&, Workspace&, const DropoutArgs<T>& a) {
  parallel_each(a.count, 4096, [&](int64_t i) { a.y[i] = a.key(a.x[i], i); });
}

template <class T>
void dropout_backward_reference(const Stream&, Workspace&, const DropoutBackwardArgs<T>& a) {
  parallel_each(a.count, 4096, [&](int64_t i) { put(a.dx[i], a.key(a.dy[i], i), a.accumulate); });
}

template Run<DropoutArgs<float>> dropout_reference<float>;
template Run<DropoutArgs<double>> dropout_reference<double>;
template Run<DropoutBackwardArgs<float>> dropout_backward_reference<float>;
template Run<DropoutBackwardArgs<double>> dropout_backward_reference<double>;

}  // namespace rcnn::kernels
