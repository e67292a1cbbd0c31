#include <algorithm>
#include <cmath>

#include "core/parallel.h"
#include "kernels/elementwise/softmax.h"

namespace rcnn::kernels {

template <class T>
void softmax_reference(const Stream&, Workspace&, const SoftmaxArgs<T>& a) {
  parallel_each(a.rows, 64, [&](int64_t row) {
    const T* x = a.logits + row * a.c;
    T* p = a.probabilities + row * a.c;
    const T largest = *std::max_element(x, x + a.c);
    T sum = 0;
    for (int64_t k = 0; k < a.c; ++k) {
      p[k] = std::exp(x[k] - largest);
      sum += p[k];
    }
    for (int64_t k = 0; k < a.c; ++k) p[k] /= sum;
  });
}

template Run<SoftmaxArgs<float>> softmax_reference<float>;
template Run<SoftmaxArgs<double>> softmax_reference<double>;

}  // namespace rcnn::kernels
