#include "kernels/elementwise/dropout_math.h"
#include "kernels/lanes.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;

/// Forward and backward alike: what is kept of `from` goes to `to`. A thread takes kWidth neighbouring
/// elements and draws a number for each. Bottleneck: arithmetic (the random numbers).
template <int kWidth>
__global__ void dropout_kernel(const float* from, float* to, DropoutKey key, Accumulate accumulate,
                               unsigned count) {
  const unsigned index = blockIdx.x * kThreads + threadIdx.x;
  if (index >= count) return;
  const int64_t at = int64_t{index} * kWidth;
  const int32_t step = *key.step;
  Lanes<kWidth> values = load_lanes<kWidth>(from + at);
  RCNN_UNROLL
  for (int k = 0; k < kWidth; ++k) values.v[k] = after_dropout(values.v[k], key, step, at + k);
  put_lanes(to + at, values, accumulate);
}

void launch_dropout(const Stream& stream, int64_t elements, const float* from, float* to,
                    const DropoutKey& key, Accumulate accumulate) {
  const bool four = four_at_a_time(elements, {from, to});
  const unsigned count = lane_groups(elements, four), blocks = blocks_for(count, kThreads);
  if (four)
    launch<dropout_kernel<4>>(stream, blocks, kThreads, 0, from, to, key, accumulate, count);
  else
    launch<dropout_kernel<1>>(stream, blocks, kThreads, 0, from, to, key, accumulate, count);
}

}  // namespace

void dropout_thread_per_four(const Stream& stream, Workspace&, const DropoutArgs<float>& a) {
  launch_dropout(stream, a.count, a.x, a.y, a.key, Accumulate::no);
}

void dropout_backward_thread_per_four(const Stream& stream, Workspace&, const DropoutBackwardArgs<float>& a) {
  launch_dropout(stream, a.count, a.dy, a.dx, a.key, a.accumulate);
}

}  // namespace rcnn::kernels
