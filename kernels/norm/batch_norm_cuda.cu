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
  update_running(a, c, {m.count, m.mean[0], m.squares[0]});
  a.mean[c] = static_cast<float>(m.mean[0]);
  a.inverse_deviation[c] = inverse_deviation(m, a.eps);
}

/// The same for batches that are normalised together: this batch's row of the table.
__global__ void __launch_bounds__(kNormThreads) moments_row(RowChunks r, ChunkMoments partial, double* row) {
  RCNN_SHARED(Moments<1>, all, [kNormThreads]);
  const int c = static_cast<int>(blockIdx.x);
  const Moments<1> m = group_moments(r, partial, c, all);
  if (threadIdx.x != 0) return;
  row[c] = m.mean[0];
  row[r.c + c] = m.squares[0];
  if (c == 0) row[2 * r.c] = static_cast<double>(r.rows);
}

/// Likewise for the sums of the gradient.
__global__ void __launch_bounds__(kNormThreads) sums_row(RowChunks r, ChunkSums partial, double* row) {
  RCNN_SHARED(PairSums<1>, all, [kNormThreads]);
  const int c = static_cast<int>(blockIdx.x), threads = static_cast<int>(blockDim.x);
  PairSums<1> mine{};
  for (int i = static_cast<int>(threadIdx.x); i < r.chunks; i += threads) {
    const int64_t at = int64_t{i} * r.c + c;
    merge(mine, {{partial.gradient[at]}, {partial.moment[at]}});
  }
  merge_row_lanes(all, mine, 1, threads);
  if (threadIdx.x != 0) return;
  row[c] = all[0].first[0];
  row[r.c + c] = all[0].second[0];
  if (c == 0) row[2 * r.c] = static_cast<double>(r.rows);
}

/// One thread per channel: the statistics of all batches. Bottleneck: latency.
__global__ void statistics_of_all(SyncBatchNormArgs<float> a) {
  const int64_t c = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (c >= a.c) return;
  const ChannelMoments m = moments_of_all(a.moments, a.batches, a.c, c);
  update_running(a, c, m);
  a.mean[c] = static_cast<float>(m.mean);
  a.inverse_deviation[c] = inverse_deviation({m.rows, {m.mean}, {m.squares}}, a.eps);
}

/// One thread per channel: dweight and dbias, and slope and offset of dx as a function of x; these are null
/// if dx is not needed.
__global__ void gradients_of_all(SyncBatchNormBackwardArgs<float> a, float* slope, float* offset) {
  const int64_t c = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (c >= a.c) return;
  const double* own = a.sums + a.own * batch_norm_row(a.c);
  put_parameter_gradients(a, c, own[c], own[a.c + c]);
  if (slope == nullptr) return;
  const ChannelLine line =
      gradient_line(static_cast<double>(a.weight[c]), static_cast<double>(a.inverse_deviation[c]),
                    sums_of_all(a.sums, a.batches, a.c, c));
  slope[c] = static_cast<float>(line.slope);
  offset[c] = static_cast<float>(line.offset);
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

void batch_norm_moments_two_level_sums(const Stream& stream, Workspace& workspace,
                                       const BatchNormMomentsArgs<float>& a) {
  const RowChunks chunks(1, a.rows, a.c, a.c, four_at_a_time(a.c, {a.x}));
  const ChunkMoments partial = chunk_moments(stream, workspace, chunks, a.x);
  launch<moments_row>(stream, blocks_for(a.c, 1), chunks.group_threads(), 0, chunks, partial, a.moments);
}

void sync_batch_norm_two_level_sums(const Stream& stream, Workspace&, const SyncBatchNormArgs<float>& a) {
  const RowChunks chunks(1, a.rows, a.c, a.c, four_at_a_time(a.c, {a.x, a.residual, a.y}));
  launch<statistics_of_all>(stream, blocks_for(a.c, kThreads), kThreads, 0, a);
  normalize_chunks(stream, chunks, a.x, {a.mean, a.inverse_deviation, a.weight, a.bias}, a.residual, a.relu,
                   a.y);
}

void batch_norm_gradient_sums_two_level_sums(const Stream& stream, Workspace& workspace,
                                             const BatchNormGradientSumsArgs<float>& a) {
  const OutputGradient gradient{a.relu ? a.y : nullptr, a.dy};
  const RowChunks chunks(1, a.rows, a.c, a.c, four_at_a_time(a.c, {a.x, gradient.y, a.dy, a.dresidual}));
  const ChunkSums partial =
      chunk_sums(stream, workspace, chunks, a.x, a.mean, gradient, a.dresidual, a.accumulate_residual);
  launch<sums_row>(stream, blocks_for(a.c, 1), chunks.group_threads(), 0, chunks, partial, a.sums);
}

void sync_batch_norm_backward_two_level_sums(const Stream& stream, Workspace& workspace,
                                             const SyncBatchNormBackwardArgs<float>& a) {
  const OutputGradient gradient{a.relu ? a.y : nullptr, a.dy};
  float* slope = a.dx ? workspace.take<float>(a.c) : nullptr;
  float* offset = a.dx ? workspace.take<float>(a.c) : nullptr;
  launch<gradients_of_all>(stream, blocks_for(a.c, kThreads), kThreads, 0, a, slope, offset);
  if (!a.dx) return;
  const RowChunks chunks(1, a.rows, a.c, a.c, four_at_a_time(a.c, {a.x, gradient.y, a.dy, a.dx}));
  gradient_chunks(stream, chunks, a.x, gradient, {a.mean, a.inverse_deviation, a.weight, slope, offset}, a.dx,
                  a.accumulate);
}

void fold_batch_norm_thread_per_channel(const Stream& stream, Workspace&, const FoldBatchNormArgs<float>& a) {
  launch<fold_batch_norm_kernel>(stream, blocks_for(a.c, kThreads), kThreads, 0, a);
}

}  // namespace rcnn::kernels
