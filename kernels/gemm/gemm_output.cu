#include "kernels/gemm/gemm_output.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;

/// One thread per V neighbouring outputs: it adds their sums from all parts, in order, and writes them once.
/// Bottleneck: memory, count + 1 passes over the output.
template <int V>
__global__ void combine_parts_kernel(GemmParts parts, GemmOutput output) {
  const int64_t size = static_cast<int64_t>(parts.rows) * output.columns;
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * V;
  if (at >= size) return;
  float sums[V];
  read_values<V>(parts.partials + at, sums);
  for (int part = 1; part < parts.count; ++part) {
    float share[V];
    read_values<V>(parts.partials + part * size + at, share);
    RCNN_UNROLL
    for (int i = 0; i < V; ++i) sums[i] += share[i];
  }
  const int row = static_cast<int>(at / output.columns);
  write<V>(output, row, static_cast<int>(at - static_cast<int64_t>(row) * output.columns), sums);
}

}  // namespace

void combine_parts(const Stream& stream, const GemmParts& parts, const GemmOutput& output) {
  if (parts.count == 1) return;
  const int64_t size = static_cast<int64_t>(parts.rows) * output.columns;
  if (output.vectors)
    launch<combine_parts_kernel<4>>(stream, blocks_for(size / 4, kThreads), kThreads, 0, parts, output);
  else
    launch<combine_parts_kernel<1>>(stream, blocks_for(size, kThreads), kThreads, 0, parts, output);
}

}  // namespace rcnn::kernels
