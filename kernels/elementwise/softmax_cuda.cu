#include "kernels/elementwise/softmax.h"

#include <limits>

#include "kernels/block_sum.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256, kWarp = 32;

/// The largest of a warp's values, for every lane. fmaxf ignores a NaN, which then shows in the sum.
__device__ float warp_largest(float value) {
  for (int step = kWarp / 2; step > 0; step /= 2)
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, step));
  return value;
}

/// One warp per row. Lane l processes the classes l, l + 32, ... and reads only elements that it writes
/// itself, so the probabilities may replace the logits. Loads are scalar and coalesced. Bottleneck: memory;
/// latency if there are few rows.
__global__ void softmax_kernel(SoftmaxArgs<float> a) {
  const int64_t row = (int64_t{blockIdx.x} * kThreads + threadIdx.x) / kWarp;
  if (row >= a.rows) return;  // the whole warp
  const int lane = static_cast<int>(threadIdx.x) % kWarp, c = static_cast<int>(a.c);
  const float* x = a.logits + row * c;
  float* p = a.probabilities + row * c;
  float largest = -std::numeric_limits<float>::infinity();
  for (int k = lane; k < c; k += kWarp) largest = fmaxf(largest, x[k]);
  largest = warp_largest(largest);
  float sum = 0;
  for (int k = lane; k < c; k += kWarp) {
    const float value = expf(x[k] - largest);
    p[k] = value;
    sum += value;
  }
  sum = warp_sum(sum);
  for (int k = lane; k < c; k += kWarp) p[k] /= sum;
}

}  // namespace

void softmax_warp_per_row(const Stream& stream, Workspace&, const SoftmaxArgs<float>& a) {
  launch<softmax_kernel>(stream, blocks_for(a.rows, kThreads / kWarp), kThreads, 0, a);
}

}  // namespace rcnn::kernels
