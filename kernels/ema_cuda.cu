#include "kernels/block_chunk.h"
#include "kernels/ema.h"
#include "kernels/ema_math.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;

/// A block a chunk of some tensor, a thread four neighbouring elements at a time where both are aligned to 16
/// bytes, and else one. Bottleneck: memory (two values read and one written an element).
__global__ void ema_kernel(EmaArgs a) {
  const auto chunk = find_chunk(a.tensors, a.count);
  if (a.skip && *a.skip != 0) return;
  const float decay = *a.decay;
  const float* __restrict__ value = chunk.tensor.value + chunk.begin;
  float* __restrict__ average = chunk.tensor.average + chunk.begin;
  const int fours = is_aligned(value) && is_aligned(average) ? chunk.size / 4 : 0;
  for (int i = static_cast<int>(threadIdx.x); i < fours; i += kThreads) {
    const float4 v = reinterpret_cast<const float4*>(value)[i];
    float4 m = reinterpret_cast<float4*>(average)[i];
    m.x = ema_step(decay, v.x, m.x);
    m.y = ema_step(decay, v.y, m.y);
    m.z = ema_step(decay, v.z, m.z);
    m.w = ema_step(decay, v.w, m.w);
    reinterpret_cast<float4*>(average)[i] = m;
  }
  for (int i = 4 * fours + static_cast<int>(threadIdx.x); i < chunk.size; i += kThreads)
    average[i] = ema_step(decay, value[i], average[i]);
}

}  // namespace

void ema_block_per_chunk(const Stream& stream, Workspace&, const EmaArgs& a) {
  launch<ema_kernel>(stream, static_cast<unsigned>(a.chunks), kThreads, 0, a);
}

}  // namespace rcnn::kernels
