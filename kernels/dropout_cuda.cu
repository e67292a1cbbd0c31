#include "kernels/dropout_math.h"
#include "kernels/lanes.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;

// A thread takes kWidth neighbouring elements and draws a number for each. Bottleneck: arithmetic (the random
// numbers).

template <int kWidth>
__global__ void dropout_kernel(DropoutArgs<float> a, unsigned count) {
  const unsigned index = blockIdx.x * kThreads + threadIdx.x;
  if (index >= count) return;
  const int64_t at = int64_t{index} * kWidth;
  const int32_t step = *a.key.step;
  Lanes<kWidth> values = load_lanes<kWidth>(a.x + at);
  RCNN_UNROLL
  for (int k = 0; k < kWidth; ++k) values.v[k] = after_dropout(values.v[k], a.key, step, at + k);
  store_lanes(a.y + at, values);
}

template <int kWidth>
__global__ void dropout_backward_kernel(DropoutBackwardArgs<float> a, unsigned count) {
  const unsigned index = blockIdx.x * kThreads + threadIdx.x;
  if (index >= count) return;
  const int64_t at = int64_t{index} * kWidth;
  const int32_t step = *a.key.step;
  Lanes<kWidth> values = load_lanes<kWidth>(a.dy + at);
  RCNN_UNROLL
  for (int k = 0; k < kWidth; ++k) values.v[k] = after_dropout(values.v[k], a.key, step, at + k);
  put_lanes(a.dx + at, values, a.accumulate);
}

}  // namespace

void dropout_thread_per_four(const Stream& stream, Workspace&, const DropoutArgs<float>& a) {
  const bool four = four_at_a_time(a.count, {a.x, a.y});
  const unsigned count = lane_groups(a.count, four);
  if (four)
    launch<dropout_kernel<4>>(stream, blocks_for(count, kThreads), kThreads, 0, a, count);
  else
    launch<dropout_kernel<1>>(stream, blocks_for(count, kThreads), kThreads, 0, a, count);
}

void dropout_backward_thread_per_four(const Stream& stream, Workspace&, const DropoutBackwardArgs<float>& a) {
  const bool four = four_at_a_time(a.count, {a.dy, a.dx});
  const unsigned count = lane_groups(a.count, four);
  if (four)
    launch<dropout_backward_kernel<4>>(stream, blocks_for(count, kThreads), kThreads, 0, a, count);
  else
    launch<dropout_backward_kernel<1>>(stream, blocks_for(count, kThreads), kThreads, 0, a, count);
}

}  // namespace rcnn::kernels
