#include "kernels/norm/scale_shift.h"

#include "kernels/lanes.h"
#include "kernels/norm/norm_math.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;

// A thread takes kWidth neighbouring channels of one row: loads of 4 * kWidth bytes, aligned to that.
// Bottleneck: memory; scale and shift come from the first-level cache.

template <int kWidth>
__global__ void scale_shift_kernel(ScaleShiftArgs<float> a, unsigned count) {
  const unsigned index = blockIdx.x * kThreads + threadIdx.x;
  if (index >= count) return;
  const unsigned c = index % static_cast<unsigned>(a.c / kWidth) * kWidth;
  const int64_t at = int64_t{index} * kWidth;
  Lanes<kWidth> y = load_lanes<kWidth>(a.x + at), residual{};
  if (a.residual) residual = load_lanes<kWidth>(a.residual + at);
  const Lanes<kWidth> scale = load_lanes<kWidth>(a.scale + c), shift = load_lanes<kWidth>(a.shift + c);
  RCNN_UNROLL
  for (int k = 0; k < kWidth; ++k) {
    const float value = scale.v[k] * y.v[k] + shift.v[k] + residual.v[k];
    y.v[k] = a.relu ? rectified(value) : value;
  }
  store_lanes(a.y + at, y);
}

template <int kWidth>
__global__ void scale_shift_backward_kernel(ScaleShiftBackwardArgs<float> a, unsigned count) {
  const unsigned index = blockIdx.x * kThreads + threadIdx.x;
  if (index >= count) return;
  const unsigned c = index % static_cast<unsigned>(a.c / kWidth) * kWidth;
  const int64_t at = int64_t{index} * kWidth;
  Lanes<kWidth> g = load_lanes<kWidth>(a.dy + at);
  if (a.relu) {
    const Lanes<kWidth> y = load_lanes<kWidth>(a.y + at);
    RCNN_UNROLL
    for (int k = 0; k < kWidth; ++k) g.v[k] = gated(y.v[k], g.v[k]);
  }
  if (a.dx) {
    Lanes<kWidth> dx = load_lanes<kWidth>(a.scale + c);
    RCNN_UNROLL
    for (int k = 0; k < kWidth; ++k) dx.v[k] *= g.v[k];
    put_lanes(a.dx + at, dx, a.accumulate);
  }
  if (a.dresidual) put_lanes(a.dresidual + at, g, a.accumulate_residual);
}

}  // namespace

void scale_shift_thread_per_four_channels(const Stream& stream, Workspace&, const ScaleShiftArgs<float>& a) {
  const bool four = four_at_a_time(a.c, {a.x, a.scale, a.shift, a.residual, a.y});
  const unsigned count = lane_groups(a.rows * a.c, four);
  if (four)
    launch<scale_shift_kernel<4>>(stream, blocks_for(count, kThreads), kThreads, 0, a, count);
  else
    launch<scale_shift_kernel<1>>(stream, blocks_for(count, kThreads), kThreads, 0, a, count);
}

void scale_shift_backward_thread_per_four_channels(const Stream& stream, Workspace&,
                                                   const ScaleShiftBackwardArgs<float>& a) {
  const bool four = four_at_a_time(a.c, {a.scale, a.relu ? a.y : nullptr, a.dy, a.dx, a.dresidual});
  const unsigned count = lane_groups(a.rows * a.c, four);
  if (four)
    launch<scale_shift_backward_kernel<4>>(stream, blocks_for(count, kThreads), kThreads, 0, a, count);
  else
    launch<scale_shift_backward_kernel<1>>(stream, blocks_for(count, kThreads), kThreads, 0, a, count);
}

}  // namespace rcnn::kernels
