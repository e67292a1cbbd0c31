#include "kernels/elementwise/sum.h"

namespace rcnn::kernels {

template <class T>
void weighted_sum_reference(const Stream&, Workspace&, const WeightedSumArgs<T>& a) {
  double sum = 0;
  for (int i = 0; i < a.terms; ++i) sum += a.weights[i] * static_cast<double>(*a.values[i]);
  *a.y = static_cast<T>(sum);
}

template <class T>
void weighted_sum_backward_reference(const Stream&, Workspace&, const WeightedSumBackwardArgs<T>& a) {
  for (int i = 0; i < a.terms; ++i)
    if (a.dvalues[i]) put(*a.dvalues[i], static_cast<T>(a.weights[i]) * *a.dy, a.accumulate[i]);
}

template Run<WeightedSumArgs<float>> weighted_sum_reference<float>;
template Run<WeightedSumArgs<double>> weighted_sum_reference<double>;
template Run<WeightedSumBackwardArgs<float>> weighted_sum_backward_reference<float>;
template Run<WeightedSumBackwardArgs<double>> weighted_sum_backward_reference<double>;

}  // namespace rcnn::kernels
