#include "kernels/block_sum.h"
#include "kernels/chunks_cuda.h"
#include "kernels/optim/sgd.h"
#include "kernels/optim/sgd_math.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = kChunkThreads;

/// One block per chunk of a parameter. A thread takes four neighbouring elements at a time if all three
/// tensors are aligned to 16 bytes, otherwise one. Bottleneck: memory (per element, three values read and two
/// written).
__global__ void sgd_kernel(SgdArgs a) {
  const auto chunk = find_chunk(a.parameters, a.count);
  if (a.skip && *a.skip != 0) return;
  const SgdParameter& p = chunk.entry;
  const SgdRule rule{a.gradient_scale ? *a.gradient_scale : 1, p.weight_decay, a.momentum,
                     *a.learning_rate * p.rate_factor};
  const float* __restrict__ gradient = p.gradient + chunk.begin;
  float* __restrict__ weight = p.weight + chunk.begin;
  float* __restrict__ momentum = p.momentum + chunk.begin;

  const int fours =
      aligned_to_16(gradient) && aligned_to_16(weight) && aligned_to_16(momentum) ? chunk.size / 4 : 0;
  const auto* __restrict__ gradient4 = reinterpret_cast<const float4*>(gradient);
  auto* __restrict__ weight4 = reinterpret_cast<float4*>(weight);
  auto* __restrict__ momentum4 = reinterpret_cast<float4*>(momentum);
  for (int i = static_cast<int>(threadIdx.x); i < fours; i += kThreads) {
    const float4 g = gradient4[i];
    float4 w = weight4[i], m = momentum4[i];
    sgd_step(rule, g.x, w.x, m.x);
    sgd_step(rule, g.y, w.y, m.y);
    sgd_step(rule, g.z, w.z, m.z);
    sgd_step(rule, g.w, w.w, m.w);
    weight4[i] = w;
    momentum4[i] = m;
  }
  for (int i = 4 * fours + static_cast<int>(threadIdx.x); i < chunk.size; i += kThreads)
    sgd_step(rule, gradient[i], weight[i], momentum[i]);
}

__device__ double square(float x) { return static_cast<double>(x) * static_cast<double>(x); }

/// One block per chunk of a gradient: it stores the sum of the chunk's squares. A thread takes four
/// neighbouring elements at a time if the gradient is aligned to 16 bytes, otherwise one. Bottleneck: memory;
/// on GPUs that are slow in double, arithmetic.
__global__ void square_chunks_kernel(ClipGradientsArgs a, double* shares) {
  const auto chunk = find_chunk(a.parameters, a.count);
  const float* gradient = chunk.entry.gradient + chunk.begin;
  double sum = 0;
  const int fours = aligned_to_16(gradient) ? chunk.size / 4 : 0;
  for (int i = static_cast<int>(threadIdx.x); i < fours; i += kThreads) {
    const float4 g = reinterpret_cast<const float4*>(gradient)[i];
    sum += (square(g.x) + square(g.y)) + (square(g.z) + square(g.w));
  }
  for (int i = 4 * fours + static_cast<int>(threadIdx.x); i < chunk.size; i += kThreads)
    sum += square(gradient[i]);
  sum = block_sum(sum);
  if (threadIdx.x == 0) shares[blockIdx.x] = sum;
}

/// One block adds up the sums of the chunks in a fixed order. Bottleneck: latency of memory.
__global__ void clip_kernel(ClipGradientsArgs a, const double* shares) {
  double sum = 0;
  for (int64_t chunk = threadIdx.x; chunk < a.chunks; chunk += kThreads) sum += shares[chunk];
  sum = block_sum(sum);
  if (threadIdx.x != 0) return;
  const float norm = static_cast<float>(std::sqrt(sum));
  *a.norm = norm;
  *a.scale = clip_scale(norm, a.max_norm);
  if (a.skip && !std::isfinite(norm)) *a.skip = 1;
}

}  // namespace

void sgd_block_per_chunk(const Stream& stream, Workspace&, const SgdArgs& a) {
  launch<sgd_kernel>(stream, static_cast<unsigned>(a.chunks), kThreads, 0, a);
}

void clip_gradients_block_per_chunk(const Stream& stream, Workspace& workspace, const ClipGradientsArgs& a) {
  double* shares = workspace.take<double>(a.chunks);
  launch<square_chunks_kernel>(stream, static_cast<unsigned>(a.chunks), kThreads, 0, a, shares);
  launch<clip_kernel>(stream, 1, kThreads, 0, a, shares);
}

}  // namespace rcnn::kernels
