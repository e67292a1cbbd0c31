#include "kernels/gemm/cuda_library.h"

#include "kernels/gemm/gemm_output.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;

/// One thread per value. Bottleneck: memory.
__global__ void round_to_bf16_kernel(const float* values, int64_t count, bf16* rounded) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) rounded[i] = to_bf16(values[i]);
}

/// One thread per value. Bottleneck: memory.
__global__ void clear_kernel(float* values, int64_t count) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) values[i] = 0;
}

}  // namespace

void epilogue_pass(const Stream& stream, const EpiloguePass& p) {
  if (p.y == p.z && !p.scale && !p.bias && !p.residual && !p.relu) return;
  const GemmOutput output{.out = p.y,
                          .columns = static_cast<int>(p.columns),
                          .scale = p.scale,
                          .bias = p.bias,
                          .residual = p.residual,
                          .relu = p.relu};
  write_sums(stream, p.z, 1, p.rows, output.with_vectors());
}

bf16* round_to_bf16(const Stream& stream, Workspace& workspace, const float* values, int64_t count) {
  bf16* rounded = workspace.take<bf16>(count);
  launch<round_to_bf16_kernel>(stream, blocks_for(count, kThreads), kThreads, 0, values, count, rounded);
  return rounded;
}

void clear(const Stream& stream, float* values, int64_t count) {
  launch<clear_kernel>(stream, blocks_for(count, kThreads), kThreads, 0, values, count);
}

void* take_library_scratch(Workspace& workspace, int64_t bytes) {
  constexpr uintptr_t kAlignment = 256;  // the workspace aligns to 64
  const auto address =
      reinterpret_cast<uintptr_t>(workspace.take_bytes(static_cast<size_t>(bytes) + kAlignment));
  return reinterpret_cast<void*>((address + kAlignment - 1) / kAlignment * kAlignment);
}

}  // namespace rcnn::kernels
