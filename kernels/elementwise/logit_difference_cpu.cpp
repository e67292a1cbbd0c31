#include "core/parallel.h"
#include "kernels/elementwise/logit_difference.h"

namespace rcnn::kernels {
namespace {

constexpr int64_t kGrain = 1024;  // rows

}  // namespace

template <class T>
void logit_difference_reference(const Stream&, Workspace&, const LogitDifferenceArgs<T>& a) {
  parallel_each(a.rows, kGrain, [&](int64_t row) {
    const T *background = a.x + row * 2 * a.a, *object = background + a.a;
    for (int64_t i = 0; i < a.a; ++i) a.y[row * a.a + i] = object[i] - background[i];
  });
}

template <class T>
void logit_difference_backward_reference(const Stream&, Workspace&, const LogitDifferenceBackwardArgs<T>& a) {
  parallel_each(a.rows, kGrain, [&](int64_t row) {
    T *background = a.dx + row * 2 * a.a, *object = background + a.a;
    for (int64_t i = 0; i < a.a; ++i) {
      const T dy = a.dy[row * a.a + i];
      put(background[i], -dy, a.accumulate);
      put(object[i], dy, a.accumulate);
    }
  });
}

template Run<LogitDifferenceArgs<float>> logit_difference_reference<float>;
template Run<LogitDifferenceArgs<double>> logit_difference_reference<double>;
template Run<LogitDifferenceBackwardArgs<float>> logit_difference_backward_reference<float>;
template Run<LogitDifferenceBackwardArgs<double>> logit_difference_backward_reference<double>;

}  // namespace rcnn::kernels
