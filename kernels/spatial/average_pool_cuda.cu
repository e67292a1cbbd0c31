#include "kernels/lanes.h"
#include "kernels/spatial/average_pool.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;

/// One thread per kWidth neighbouring channels of an image; it sums them over the pixels, so that
/// neighbouring threads read neighbouring addresses. Bottleneck: memory.
template <int kWidth>
__global__ void average_pool_kernel(AveragePoolArgs<float> a, unsigned count) {
  const unsigned index = blockIdx.x * kThreads + threadIdx.x;
  if (index >= count) return;
  const int64_t place = int64_t{index} * kWidth, n = place / a.c, c = place % a.c;
  const float share = 1.0f / static_cast<float>(a.p);
  Lanes<kWidth> sum{};
  for (int64_t i = 0; i < a.p; ++i) {
    const Lanes<kWidth> x = load_lanes<kWidth>(a.x + (n * a.p + i) * a.c + c);
    RCNN_UNROLL
    for (int k = 0; k < kWidth; ++k) sum.v[k] += x.v[k];
  }
  RCNN_UNROLL
  for (int k = 0; k < kWidth; ++k) sum.v[k] *= share;
  store_lanes(a.y + place, sum);
}

/// One thread per kWidth neighbouring channels of a pixel of dx. Bottleneck: memory.
template <int kWidth>
__global__ void average_pool_backward_kernel(AveragePoolBackwardArgs<float> a, unsigned count) {
  const unsigned index = blockIdx.x * kThreads + threadIdx.x;
  if (index >= count) return;
  const int64_t place = int64_t{index} * kWidth, n = place / a.c / a.p, c = place % a.c;
  const float share = 1.0f / static_cast<float>(a.p);
  const Lanes<kWidth> dy = load_lanes<kWidth>(a.dy + n * a.c + c);
  Lanes<kWidth> dx;
  RCNN_UNROLL
  for (int k = 0; k < kWidth; ++k) dx.v[k] = share * dy.v[k];
  put_lanes(a.dx + place, dx, a.accumulate);
}

}  // namespace

void average_pool_thread_per_four_channels(const Stream& stream, Workspace&,
                                           const AveragePoolArgs<float>& a) {
  const bool four = four_at_a_time(a.c, {a.x, a.y});
  const unsigned count = lane_groups(a.n * a.c, four);
  if (four)
    launch<average_pool_kernel<4>>(stream, blocks_for(count, kThreads), kThreads, 0, a, count);
  else
    launch<average_pool_kernel<1>>(stream, blocks_for(count, kThreads), kThreads, 0, a, count);
}

void average_pool_backward_thread_per_four_channels(const Stream& stream, Workspace&,
                                                    const AveragePoolBackwardArgs<float>& a) {
  const bool four = four_at_a_time(a.c, {a.dy, a.dx});
  const unsigned count = lane_groups(a.n * a.p * a.c, four);
  if (four)
    launch<average_pool_backward_kernel<4>>(stream, blocks_for(count, kThreads), kThreads, 0, a, count);
  else
    launch<average_pool_backward_kernel<1>>(stream, blocks_for(count, kThreads), kThreads, 0, a, count);
}

}  // namespace rcnn::kernels
