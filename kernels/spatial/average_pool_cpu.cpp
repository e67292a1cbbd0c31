#include <algorithm>

#include "core/parallel.h"
#include "kernels/spatial/average_pool.h"

namespace rcnn::kernels {

template <class T>
void average_pool_reference(const Stream&, Workspace&, const AveragePoolArgs<T>& a) {
  const T share = T(1) / static_cast<T>(a.p);
  parallel_for(a.n, 4, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      T* y = a.y + n * a.c;
      std::fill(y, y + a.c, T(0));
      for (int64_t i = 0; i < a.p; ++i) {
        const T* x = a.x + (n * a.p + i) * a.c;
        for (int64_t c = 0; c < a.c; ++c) y[c] += x[c];
      }
      for (int64_t c = 0; c < a.c; ++c) y[c] *= share;
    }
  });
}

template <class T>
void average_pool_backward_reference(const Stream&, Workspace&, const AveragePoolBackwardArgs<T>& a) {
  const T share = T(1) / static_cast<T>(a.p);
  parallel_for(a.n, 4, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n)
      for (int64_t i = 0; i < a.p; ++i) {
        T* dx = a.dx + (n * a.p + i) * a.c;
        for (int64_t c = 0; c < a.c; ++c) put(dx[c], share * a.dy[n * a.c + c], a.accumulate);
      }
  });
}

template void average_pool_reference(const Stream&, Workspace&, const AveragePoolArgs<float>&);
template void average_pool_reference(const Stream&, Workspace&, const AveragePoolArgs<double>&);
template void average_pool_backward_reference(const Stream&, Workspace&,
                                              const AveragePoolBackwardArgs<float>&);
template void average_pool_backward_reference(const Stream&, Workspace&,
                                              const AveragePoolBackwardArgs<double>&);

}  // namespace rcnn::kernels
