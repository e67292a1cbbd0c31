#include "kernels/elementwise/sum.h"

#include "kernels/lanes.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;

/// One thread does all: there are a few terms, and their order is fixed. Bottleneck: latency.
__global__ void weighted_sum_kernel(WeightedSumArgs<float> a) {
  if (threadIdx.x != 0) return;
  double sum = 0;
  for (int i = 0; i < a.terms; ++i) sum += a.weights[i] * static_cast<double>(*a.values[i]);
  *a.y = static_cast<float>(sum);
}

/// One thread does all, in order: a value that is a term twice gets its gradient in two additions.
__global__ void weighted_sum_backward_kernel(WeightedSumBackwardArgs<float> a) {
  if (threadIdx.x != 0) return;
  for (int i = 0; i < a.terms; ++i)
    if (a.dvalues[i]) put(*a.dvalues[i], static_cast<float>(a.weights[i]) * *a.dy, a.accumulate[i]);
}

/// A thread takes kWidth neighbouring elements: loads of 4 * kWidth bytes, aligned to that. Bottleneck:
/// memory.
template <int kWidth>
__global__ void add_kernel(AddArgs<float> a, unsigned count) {
  const unsigned index = blockIdx.x * kThreads + threadIdx.x;
  if (index >= count) return;
  const int64_t at = int64_t{index} * kWidth;
  Lanes<kWidth> sum = load_lanes<kWidth>(a.a + at);
  const Lanes<kWidth> b = load_lanes<kWidth>(a.b + at);
  RCNN_UNROLL
  for (int k = 0; k < kWidth; ++k) sum.v[k] += b.v[k];
  store_lanes(a.y + at, sum);
}

}  // namespace

void weighted_sum_one_thread(const Stream& stream, Workspace&, const WeightedSumArgs<float>& a) {
  launch<weighted_sum_kernel>(stream, 1, 32, 0, a);
}

void weighted_sum_backward_one_thread(const Stream& stream, Workspace&,
                                      const WeightedSumBackwardArgs<float>& a) {
  launch<weighted_sum_backward_kernel>(stream, 1, 32, 0, a);
}

void add_thread_per_four_elements(const Stream& stream, Workspace&, const AddArgs<float>& a) {
  const bool four = four_at_a_time(a.size, {a.a, a.b, a.y});
  const unsigned count = lane_groups(a.size, four);
  if (four)
    launch<add_kernel<4>>(stream, blocks_for(count, kThreads), kThreads, 0, a, count);
  else
    launch<add_kernel<1>>(stream, blocks_for(count, kThreads), kThreads, 0, a, count);
}

}  // namespace rcnn::kernels
