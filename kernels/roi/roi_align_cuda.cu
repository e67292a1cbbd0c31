#include "kernels/boxes/box_math.h"
#include "kernels/lanes.h"
#include "kernels/roi/roi_align.h"
#include "kernels/roi/roi_align_math.h"
#include "kernels/roi/roi_align_taps.h"
#include "kernels/roi/roi_gather.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kGroups = 2;  // channel vectors that a lane sums at a time

/// One block per RoI, one warp per bin; each lane takes every 32nd vector of kWidth channels. The taps of all
/// bins are in shared memory, 68 (ph + pw) bytes. Neighbouring bins share pixels, which come from the
/// first-level cache. Bottleneck: that cache and, for large RoIs, the second-level cache.
template <int kWidth>
__global__ void __launch_bounds__(kThreads) warp_per_bin_kernel(RoiAlignArgs<float> a) {
  RCNN_SHARED(int, level_of_roi, [1]);
  BinTaps* row_taps = dynamic_shared<BinTaps>();
  BinTaps* column_taps = row_taps + a.ph;
  const int64_t k = blockIdx.x;
  const int image = static_cast<int>(blockIdx.x) / static_cast<int>(a.r),
            row = static_cast<int>(k - image * a.r);
  const int own = static_cast<int>(threadIdx.x), lane = own % 32;
  const int ph = static_cast<int>(a.ph), pw = static_cast<int>(a.pw), c = static_cast<int>(a.c);
  float* y = a.y + k * ph * pw * c;
  if (is_padding(a, image, row)) {  // the whole block
    for (int i = own; i < ph * pw * c; i += kThreads) y[i] = 0;
    return;
  }
  for (int i = own; i < ph + pw; i += kThreads) {
    const RoiAxes roi = axes_of(a, a.rois + k * 4);
    if (i < ph)
      fill_taps(roi.y, i, a.h[roi.level], row_taps[i]);
    else
      fill_taps(roi.x, i - ph, a.w[roi.level], column_taps[i - ph]);
    if (i == 0) *level_of_roi = roi.level;
  }
  __syncthreads();
  const int level = *level_of_roi, w = static_cast<int>(a.w[level]);
  const float* map = a.x[level] + image * a.h[level] * w * c;
  for (int bin = own / 32; bin < ph * pw; bin += kWarps) {
    const BinTaps &rows = row_taps[bin / pw], &columns = column_taps[bin % pw];
    for (int first = lane * kWidth; first < c; first += kGroups * 32 * kWidth) {
      Lanes<kWidth> sums[kGroups] = {};
      for (int i = 0; i < rows.count; ++i)
        for (int j = 0; j < columns.count; ++j) {
          const Tap from_row = rows.taps[i], from_column = columns.taps[j];
          const float weight = from_row.weight * from_column.weight;
          const float* pixel = map + (from_row.at * w + from_column.at) * static_cast<int64_t>(c);
          RCNN_UNROLL
          for (int g = 0; g < kGroups; ++g) {
            const int channel = first + g * 32 * kWidth;
            if (channel >= c) continue;
            const Lanes<kWidth> values = load_lanes<kWidth>(pixel + channel);
            RCNN_UNROLL
            for (int v = 0; v < kWidth; ++v) sums[g].v[v] = fmaf(weight, values.v[v], sums[g].v[v]);
          }
        }
      RCNN_UNROLL
      for (int g = 0; g < kGroups; ++g)
        if (first + g * 32 * kWidth < c) store_lanes(y + bin * c + first + g * 32 * kWidth, sums[g]);
    }
  }
}

/// The mean of bin (py, px) of a RoI in one channel of its map.
__device__ float pool_value(const RoiAlignArgs<float>& a, const RoiAxes& roi, int64_t py, int64_t px,
                            const float* map) {
  const int64_t h = a.h[roi.level], w = a.w[roi.level];
  AxisSample y{}, x{};
  float sum = 0;
  for (int i = 0; i < roi.y.points; ++i) {
    if (!axis_sample(roi.y, py, i, h, y)) continue;
    for (int j = 0; j < roi.x.points; ++j) {
      if (!axis_sample(roi.x, px, j, w, x)) continue;
      const float low =
          x.low_weight * map[(y.low * w + x.low) * a.c] + x.high_weight * map[(y.low * w + x.high) * a.c];
      const float high =
          x.low_weight * map[(y.high * w + x.low) * a.c] + x.high_weight * map[(y.high * w + x.high) * a.c];
      sum += y.low_weight * low + y.high_weight * high;
    }
  }
  return sum / static_cast<float>(sample_count(roi.y, roi.x));
}

/// One thread per value of y. Bottleneck: arithmetic, because every thread recomputes the positions of its
/// RoI.
__global__ void thread_per_output_kernel(RoiAlignArgs<float> a) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (at >= a.n * a.r * a.ph * a.pw * a.c) return;
  const int64_t channel = at % a.c, px = at / a.c % a.pw, py = at / a.c / a.pw % a.ph;
  const int64_t k = at / a.c / a.pw / a.ph, image = k / a.r;
  if (is_padding(a, image, k % a.r)) {
    a.y[at] = 0;
    return;
  }
  const RoiAxes roi = axes_of(a, a.rois + k * 4);
  const float* map = a.x[roi.level] + image * a.h[roi.level] * a.w[roi.level] * a.c + channel;
  a.y[at] = pool_value(a, roi, py, px, map);
}

// ---- backward --------------------------------------------------------------------------------------------

/// The rule of roi_gather.h: a bin spreads its gradient over the pixels around its samples.
struct SpreadSamples {
  RoiAlignBackwardArgs<float> a;
  const RoiAxes* axes;  // (N R)

  /// The weight of pixel `at` of an axis in a bin's mean.
  __device__ static float weight(const RoiAxis& axis, int bin, int64_t size, int at) {
    AxisSample sample{};
    float sum = 0;
    for (int i = 0; i < axis.points; ++i) {
      if (!axis_sample(axis, bin, i, size, sample)) continue;
      if (sample.low == at) sum += sample.low_weight;
      if (sample.high == at) sum += sample.high_weight;
    }
    return axis.points > 0 ? sum / static_cast<float>(axis.points) : 0;
  }
  __device__ float y_weight(int64_t roi, int level, int bin, int y) const {
    return weight(axes[roi].y, bin, a.h[level], y);
  }
  __device__ float x_weight(int64_t roi, int level, int bin, int x) const {
    return weight(axes[roi].x, bin, a.w[level], x);
  }
  template <int kWidth>
  __device__ void add(Lanes<kWidth>& sum, int64_t at, float weight, int) const {
    const Lanes<kWidth> dy = load_lanes<kWidth>(a.dy + at);
    RCNN_UNROLL
    for (int i = 0; i < kWidth; ++i) sum.v[i] = fmaf(weight, dy.v[i], sum.v[i]);
  }
};

/// The pixels that the samples of an axis lie between. Positions rise or fall from bin to bin, so the first
/// and the last sample are the extremes.
__device__ AxisReach reach_of(const RoiAxis& axis, int64_t bins, int64_t size) {
  const AxisReach none{0, -1};
  if (axis.points == 0) return none;
  const float one = sample_position(axis, 0, 0), other = sample_position(axis, bins - 1, axis.points - 1);
  const float low = one < other ? one : other, high = one < other ? other : one;
  const float last = static_cast<float>(size - 1);
  if (!(high >= -1.0f && low <= last + 1.0f)) return none;  // written so that a NaN is outside
  return {static_cast<int>(clip(low, last)),
          high + 1.0f < last ? static_cast<int>(clip(high, last)) + 1 : static_cast<int>(size - 1)};
}

/// Computes the axes and the reach of every RoI, with one thread per RoI.
__global__ void axes_kernel(RoiAlignGrid a, RoiAxes* axes, RoiReach* reaches) {
  const int64_t k = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (k >= a.n * a.r) return;
  if (is_padding(a, k / a.r, k % a.r)) {
    reaches[k] = {-1, {0, -1}, {0, -1}};
    return;
  }
  const RoiAxes roi = axes_of(a, a.rois + k * 4);
  axes[k] = roi;
  reaches[k] = {roi.level, reach_of(roi.y, a.ph, a.h[roi.level]), reach_of(roi.x, a.pw, a.w[roi.level])};
}

struct Gathering {
  SpreadSamples rule;
  const RoiReach* reaches;
};

Gathering prepare(const Stream& stream, Workspace& workspace, const RoiAlignBackwardArgs<float>& a) {
  RoiAxes* axes = workspace.take<RoiAxes>(a.n * a.r);
  RoiReach* reaches = workspace.take<RoiReach>(a.n * a.r);
  launch<axes_kernel>(stream, blocks_for(a.n * a.r, kThreads), kThreads, 0,
                      static_cast<const RoiAlignGrid&>(a), axes, reaches);
  return {{a, axes}, reaches};
}

}  // namespace

void roi_align_warp_per_bin(const Stream& stream, Workspace&, const RoiAlignArgs<float>& a) {
  bool vectors = four_at_a_time(a.c, {a.y});
  for (int l = 0; l < a.levels; ++l) vectors = vectors && four_at_a_time(a.c, {a.x[l]});
  const unsigned rois = static_cast<unsigned>(a.n * a.r);
  const size_t taps = static_cast<size_t>(a.ph + a.pw) * sizeof(BinTaps);
  if (vectors)
    launch<warp_per_bin_kernel<4>>(stream, rois, kThreads, taps, a);
  else
    launch<warp_per_bin_kernel<1>>(stream, rois, kThreads, taps, a);
}

void roi_align_thread_per_output(const Stream& stream, Workspace&, const RoiAlignArgs<float>& a) {
  launch<thread_per_output_kernel>(stream, blocks_for(a.n * a.r * a.ph * a.pw * a.c, kThreads), kThreads, 0,
                                   a);
}

void roi_align_backward_warp_per_pixel(const Stream& stream, Workspace& workspace,
                                       const RoiAlignBackwardArgs<float>& a) {
  const Gathering gathering = prepare(stream, workspace, a);
  bool vectors = four_at_a_time(a.c, {a.dy});
  for (int l = 0; l < a.levels; ++l) vectors = vectors && four_at_a_time(a.c, {a.dx[l]});
  if (vectors)
    gather_warp_per_pixel<4>(stream, gathering.rule, gathering.reaches);
  else
    gather_warp_per_pixel<1>(stream, gathering.rule, gathering.reaches);
}

void roi_align_backward_thread_per_input(const Stream& stream, Workspace& workspace,
                                         const RoiAlignBackwardArgs<float>& a) {
  const Gathering gathering = prepare(stream, workspace, a);
  gather_thread_per_input(stream, gathering.rule, gathering.reaches);
}

}  // namespace rcnn::kernels
