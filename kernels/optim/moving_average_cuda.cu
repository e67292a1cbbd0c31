#include "kernels/chunks_cuda.h"
#include "kernels/optim/moving_average.h"

namespace rcnn::kernels {
namespace {

/// One block per chunk of a tensor. A thread takes four neighbouring elements at a time if both tensors are
/// aligned to 16 bytes, otherwise one. Bottleneck: memory (two values read, one written per element).
__global__ void moving_average_kernel(MovingAverageArgs a) {
  const auto chunk = find_chunk(a.tensors, a.count);
  if (a.skip && *a.skip != 0) return;
  const float share = *a.share;
  float* __restrict__ average = chunk.entry.average + chunk.begin;
  const float* __restrict__ value = chunk.entry.value + chunk.begin;

  const int fours = aligned_to_16(average) && aligned_to_16(value) ? chunk.size / 4 : 0;
  auto* __restrict__ average4 = reinterpret_cast<float4*>(average);
  const auto* __restrict__ value4 = reinterpret_cast<const float4*>(value);
  for (int i = static_cast<int>(threadIdx.x); i < fours; i += kChunkThreads) {
    float4 m = average4[i];
    const float4 v = value4[i];
    m.x = averaged(m.x, v.x, share);
    m.y = averaged(m.y, v.y, share);
    m.z = averaged(m.z, v.z, share);
    m.w = averaged(m.w, v.w, share);
    average4[i] = m;
  }
  for (int i = 4 * fours + static_cast<int>(threadIdx.x); i < chunk.size; i += kChunkThreads)
    average[i] = averaged(average[i], value[i], share);
}

}  // namespace

void moving_average_block_per_chunk(const Stream& stream, Workspace&, const MovingAverageArgs& a) {
  launch<moving_average_kernel>(stream, static_cast<unsigned>(a.chunks), kChunkThreads, 0, a);
}

}  // namespace rcnn::kernels
