#include "kernels/norm/batch_norm.h"

#include "kernels/lanes.h"
#include "kernels/norm/batch_norm_math.h"
#include "kernels/norm/group_norm.h"
#include "kernels/norm/norm_rows.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;

/// The second level of the sums, see kernels/norm/norm_rows.h. One block per channel: its threads stride over
/// the results of the chunks and are merged in shared memory. Bottleneck: latency; there is little to read.
__global__ void __launch_bounds__(kNormThreads)
    batch_statistics(RowChunks r, ChunkMoments partial, BatchNormArgs<float> a) {
  RCNN_SHARED(Moments<1>, all, [kNormThreads]);
  const int c = static_cast<int>(blockIdx.x);
  const Moments<1> m = group_moments(r, partial, c, all);
  if (threadIdx.x != 0) return;
  update_running(a, c, m.mean[0], m.squares[0]);
  a.mean[c] = static_cast<float>(m.mean[0]);
  a.inverse_deviation[c] = inverse_deviation(m, a.eps);
}

/// One thread per channel.
__global__ void fold_batch_norm_kernel(FoldBatchNormArgs<float> a) {
  const int64_t c = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (c < a.c) fold_channel(a, c);
}

}  // namespace

/// Reads x twice and writes y.
void batch_norm_two_level_sums(const Stream& stream, Workspace& workspace, const BatchNormArgs<float>& a) {
  const RowChunks chunks(1, a.rows, a.c, a.c, four_at_a_time(a.c, {a.x, a.residual, a.y}));
  const ChunkMoments partial = chunk_moments(stream, workspace, chunks, a.x);
  launch<batch_statistics>(stream, blocks_for(a.c, 1), chunks.group_threads(), 0, chunks, partial, a);
  normalize_chunks(stream, chunks, a.x, {a.mean, a.inverse_deviation, a.weight, a.bias}, a.residual, a.relu,
                   a.y);
}

/// Given the statistics, batch norm is the group norm of one image that holds all rows, with one
/// group per channel.
void batch_norm_backward_two_level_sums(const Stream& stream, Workspace& workspace,
                                        const BatchNormBackwardArgs<float>& a) {
  group_norm_backward_two_level_sums(stream, workspace,
                                     {.n = 1,
                                      .rows = a.rows,
                                      .c = a.c,
                                      .groups = a.c,
                                      .x = a.x,
                                      .weight = a.weight,
                                      .mean = a.mean,
                                      .inverse_deviation = a.inverse_deviation,
                                      .y = a.y,
                                      .dy = a.dy,
                                      .relu = a.relu,
                                      .dx = a.dx,
                                      .accumulate = a.accumulate,
                                      .dweight = a.dweight,
                                      .accumulate_weight = a.accumulate_weight,
                                      .dbias = a.dbias,
                                      .accumulate_bias = a.accumulate_bias,
                                      .dresidual = a.dresidual,
                                      .accumulate_residual = a.accumulate_residual});
}

void fold_batch_norm_thread_per_channel(const Stream& stream, Workspace&, const FoldBatchNormArgs<float>& a) {
  launch<fold_batch_norm_kernel>(stream, blocks_for(a.c, kThreads), kThreads, 0, a);
}

}  // namespace rcnn::kernels
