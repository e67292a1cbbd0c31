#include "kernels/norm/group_norm.h"

#include "kernels/lanes.h"
#include "kernels/norm/norm_rows.h"

namespace rcnn::kernels {
namespace {

// The second level of the sums, see kernels/norm/norm_rows.h: one block per result, whose threads stride over
// the results of the chunks and are merged in shared memory. Bottleneck: latency; there is little to read.

/// One block per group of an image.
__global__ void __launch_bounds__(kNormThreads)
    group_statistics(RowChunks r, ChunkMoments partial, float eps, float* mean, float* inverse) {
  RCNN_SHARED(Moments<1>, all, [kNormThreads]);
  const int index = static_cast<int>(blockIdx.x);
  const Moments<1> m = group_moments(r, partial, index, all);
  if (threadIdx.x != 0) return;
  mean[index] = static_cast<float>(m.mean[0]);
  inverse[index] = inverse_deviation(m, eps);
}

/// One block per channel: dweight = sum of moment inverse_deviation and dbias = sum of g, over
/// images and chunks.
__global__ void __launch_bounds__(kNormThreads)
    parameter_gradients(RowChunks r, ChunkSums partial, GroupNormBackwardArgs<float> a) {
  RCNN_SHARED(PairSums<1>, all, [kNormThreads]);
  const int channel = static_cast<int>(blockIdx.x), group = channel / r.group_size;
  const int threads = static_cast<int>(blockDim.x);
  PairSums<1> mine{};
  for (int i = static_cast<int>(threadIdx.x); i < r.segments * r.chunks; i += threads) {
    const int64_t at = int64_t{i} * r.c + channel;
    const double inverse = static_cast<double>(a.inverse_deviation[i / r.chunks * r.groups + group]);
    merge(mine, {{partial.moment[at] * inverse}, {partial.gradient[at]}});
  }
  merge_row_lanes(all, mine, 1, threads);
  if (threadIdx.x != 0) return;
  if (a.dweight) put(a.dweight[channel], static_cast<float>(all[0].first[0]), a.accumulate_weight);
  if (a.dbias) put(a.dbias[channel], static_cast<float>(all[0].second[0]), a.accumulate_bias);
}

/// One block per group of an image: slope and offset of dx as a function of x,
/// see group_norm_backward_two_level_sums.
__global__ void __launch_bounds__(kNormThreads)
    group_lines(RowChunks r, ChunkSums partial, const float* weight, const float* inverse_deviation,
                float* slope, float* offset) {
  RCNN_SHARED(PairSums<1>, all, [kNormThreads]);
  const int index = static_cast<int>(blockIdx.x);
  const int segment = index / r.groups, first = index % r.groups * r.group_size;
  const int threads = static_cast<int>(blockDim.x);
  PairSums<1> mine{};
  for (int i = static_cast<int>(threadIdx.x); i < r.chunks * r.group_size; i += threads) {
    const int channel = first + i % r.group_size;
    const int64_t at = (int64_t{segment} * r.chunks + i / r.group_size) * r.c + channel;
    const double w = static_cast<double>(weight[channel]);
    merge(mine, {{w * partial.moment[at]}, {w * partial.gradient[at]}});
  }
  merge_row_lanes(all, mine, 1, threads);
  if (threadIdx.x != 0) return;
  const double inverse = static_cast<double>(inverse_deviation[index]);
  const double values = static_cast<double>(int64_t{r.rows} * r.group_size);
  slope[index] = static_cast<float>(-inverse * inverse * inverse * all[0].first[0] / values);
  offset[index] = static_cast<float>(-inverse * all[0].second[0] / values);
}

}  // namespace

/// Reads x twice and writes y.
void group_norm_two_level_sums(const Stream& stream, Workspace& workspace, const GroupNormArgs<float>& a) {
  const RowChunks chunks(a.n, a.rows, a.c, a.groups, four_at_a_time(a.c, {a.x, a.residual, a.y}));
  const ChunkMoments partial = chunk_moments(stream, workspace, chunks, a.x);
  launch<group_statistics>(stream, blocks_for(a.n * a.groups, 1), chunks.group_threads(), 0, chunks, partial,
                           a.eps, a.mean, a.inverse_deviation);
  normalize_chunks(stream, chunks, a.x, {a.mean, a.inverse_deviation, a.weight, a.bias}, a.residual, a.relu,
                   a.y);
}

/// Reads x, y and dy for the sums, and again for dx, which is affine in g and x. With S and M the group's
/// sums of weight g and of weight g (x - mean),
///     dx = weight inverse_deviation g - inverse_deviation^3 M / values (x - mean)
///          - inverse_deviation S / values.
void group_norm_backward_two_level_sums(const Stream& stream, Workspace& workspace,
                                        const GroupNormBackwardArgs<float>& a) {
  OutputGradient gradient{a.relu ? a.y : nullptr, a.dy};
  const RowChunks chunks(a.n, a.rows, a.c, a.groups,
                         four_at_a_time(a.c, {a.x, gradient.y, a.dy, a.dx, a.dresidual}));
  const ChunkSums partial =
      chunk_sums(stream, workspace, chunks, a.x, a.mean, gradient, a.dresidual, a.accumulate_residual);
  if (a.dweight || a.dbias)
    launch<parameter_gradients>(stream, blocks_for(a.c, 1), chunks.channel_threads(), 0, chunks, partial, a);
  if (!a.dx) return;
  float* slope = workspace.take<float>(a.n * a.groups);
  float* offset = workspace.take<float>(a.n * a.groups);
  launch<group_lines>(stream, blocks_for(a.n * a.groups, 1), chunks.group_threads(), 0, chunks, partial,
                      a.weight, a.inverse_deviation, slope, offset);
  // dresidual already holds g, so y need not be read again.
  if (a.dresidual && a.accumulate_residual == Accumulate::no) gradient = {nullptr, a.dresidual};
  gradient_chunks(stream, chunks, a.x, gradient, {a.mean, a.inverse_deviation, a.weight, slope, offset}, a.dx,
                  a.accumulate);
}

}  // namespace rcnn::kernels
