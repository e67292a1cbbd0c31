#include "kernels/elementwise/sum.h"

#include "core/cuda/cuda.h"

namespace rcnn::kernels {
namespace {

/// One thread adds all terms, because they are few and their order is fixed. Bottleneck: latency.
__global__ void weighted_sum_kernel(WeightedSumArgs<float> a) {
  if (threadIdx.x != 0) return;
  double sum = 0;
  for (int i = 0; i < a.terms; ++i) sum += a.weights[i] * static_cast<double>(*a.values[i]);
  *a.y = static_cast<float>(sum);
}

/// One thread handles all terms in order, because the gradient of a value that occurs in two terms is the
/// result of two additions.
__global__ void weighted_sum_backward_kernel(WeightedSumBackwardArgs<float> a) {
  if (threadIdx.x != 0) return;
  for (int i = 0; i < a.terms; ++i)
    if (a.dvalues[i]) put(*a.dvalues[i], static_cast<float>(a.weights[i]) * *a.dy, a.accumulate[i]);
}

}  // namespace

void weighted_sum_one_thread(const Stream& stream, Workspace&, const WeightedSumArgs<float>& a) {
  launch<weighted_sum_kernel>(stream, 1, 32, 0, a);
}

void weighted_sum_backward_one_thread(const Stream& stream, Workspace&,
                                      const WeightedSumBackwardArgs<float>& a) {
  launch<weighted_sum_backward_kernel>(stream, 1, 32, 0, a);
}

}  // namespace rcnn::kernels
