#include "core/parallel.h"
#include "kernels/elementwise/logit_difference.h"

namespace rcnn::kernels {
namespace {

constexpr int64_t kGrain = 1024;  // rows

}  // namespace

template <class T>
void logit_difference_reference(const Stream&, Workspace&, const LogitDifferenceArgs<T>& a) {
  parallel_for(a.rows, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T *background = a.x + row * 2 * a.a, *object = background + a.a;
      for (int64_t i = 0; i < a.a; ++i) a.y[row * a.a + i] = object[i] - background[i];
    }
  });
}

template <class T>
void logit_difference_backward_reference(const Stream&, Workspace&, const LogitDifferenceBackwardArgs<T>& a) {
  parallel_for(a.rows, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      T *background = a.dx + row * 2 * a.a, *object = background + a.a;
      for (int64_t i = 0; i < a.a; ++i) {
        const T dy = a.dy[row * a.a + i];
        put(background[i], -dy, a.accumulate);
        put(object[i], dy, a.accumulate);
      }
    }
  });
}

template void logit_difference_reference(const Stream&, Workspace&, const LogitDifferenceArgs<float>&);
template void logit_difference_reference(const Stream&, Workspace&, const LogitDifferenceArgs<double>&);
template void logit_difference_backward_reference(const Stream&, Workspace&,
                                                  const LogitDifferenceBackwardArgs<float>&);
template void logit_difference_backward_reference(const Stream&, Workspace&,
                                                  const LogitDifferenceBackwardArgs<double>&);

}  // namespace rcnn::kernels
