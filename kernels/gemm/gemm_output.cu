#include "kernels/gemm/gemm_output.h"

#include "kernels/gemm/plan_names.h"
#include "kernels/plans.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;

/// One thread per V neighbouring outputs: it adds their sums from all arrays, in order, and writes them once.
/// Bottleneck: memory, count + 1 passes over the output.
template <int V, class Output>
__global__ void write_sums_kernel(const float* arrays, int count, int64_t size, Output output) {
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * V;
  if (at >= size) return;
  float sums[V];
  read_values<V>(arrays + at, sums);
  for (int array = 1; array < count; ++array) {
    float more[V];
    read_values<V>(arrays + array * size + at, more);
    RCNN_UNROLL
    for (int i = 0; i < V; ++i) sums[i] += more[i];
  }
  const int row = static_cast<int>(at / output.columns);
  write<V>(output, row, static_cast<int>(at - static_cast<int64_t>(row) * output.columns), sums);
}

}  // namespace

template <class Output>
void write_sums(const Stream& stream, const float* sums, int count, int64_t rows, const Output& output) {
  const int64_t size = rows * output.columns;
  if (output.vectors && aligned_to_16(sums))
    launch<write_sums_kernel<4, Output>>(stream, blocks_for(size / 4, kThreads), kThreads, 0, sums, count,
                                         size, output);
  else
    launch<write_sums_kernel<1, Output>>(stream, blocks_for(size, kThreads), kThreads, 0, sums, count, size,
                                         output);
}

int parts_of_call(Workspace& workspace, int64_t tiles, int64_t steps, int64_t min_steps) {
  const int rule = parts_of(tiles, steps, min_steps);
  const int64_t most = std::min<int64_t>(std::max<int64_t>(steps / min_steps, 1), kMaxCutParts);
  const CutOfCall& call = workspace.cache<CutOfCall>();
  if (call.offered) {
    constexpr int kOffered[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 264};
    call.offered->push_back(cut_of_parts(rule));
    for (const int parts : kOffered)
      if (parts != rule && parts <= most && parts <= 4 * rule && 4 * parts >= rule)
        call.offered->push_back(cut_of_parts(parts));
  }
  const std::optional<int> wanted = parts_of_cut(call.wanted);
  return wanted && *wanted <= most ? *wanted : rule;
}

template <class Output>
void combine_parts(const Stream& stream, const GemmParts& parts, const Output& output) {
  if (parts.count > 1) write_sums(stream, parts.partials, parts.count, parts.rows, output);
}

template void write_sums(const Stream&, const float*, int, int64_t, const GemmOutput&);
template void write_sums(const Stream&, const float*, int, int64_t, const PackedGemmOutput&);
template void combine_parts(const Stream&, const GemmParts&, const GemmOutput&);
template void combine_parts(const Stream&, const GemmParts&, const PackedGemmOutput&);

}  // namespace rcnn::kernels
