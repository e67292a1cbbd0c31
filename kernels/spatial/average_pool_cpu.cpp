#include <algorithm>

#include "core/parallel.h"
#include "kernels/spatial/average_pool.h"

namespace rcnn::kernels {

template <class T>
void average_pool_reference(const Stream&, Workspace&, const AveragePoolArgs<T>& a) {
  const T share = T(1) / static_cast<T>(a.p);
  parallel_each(a.n, 4, [&](int64_t n) {
    T* y = a.y + n * a.c;
    std::fill(y, y + a.c, T(0));
    for (int64_t i = 0; i < a.p; ++i) {
      const T* x = a.x + (n * a.p + i) * a.c;
      for (int64_t c = 0; c < a.c; ++c) y[c] += x[c];
    }
    for (int64_t c = 0; c < a.c; ++c) y[c] *= share;
  });
}

template <class T>
void average_pool_backward_reference(const Stream&, Workspace&, const AveragePoolBackwardArgs<T>& a) {
  const T share = T(1) / static_cast<T>(a.p);
  parallel_each(a.n, 4, [&](int64_t n) {
    for (int64_t i = 0; i < a.p; ++i) {
      T* dx = a.dx + (n * a.p + i) * a.c;
      for (int64_t c = 0; c < a.c; ++c) put(dx[c], share * a.dy[n * a.c + c], a.accumulate);
    }
  });
}

template Run<AveragePoolArgs<float>> average_pool_reference<float>;
template Run<AveragePoolArgs<double>> average_pool_reference<double>;
template Run<AveragePoolBackwardArgs<float>> average_pool_backward_reference<float>;
template Run<AveragePoolBackwardArgs<double>> average_pool_backward_reference<double>;

}  // namespace rcnn::kernels
