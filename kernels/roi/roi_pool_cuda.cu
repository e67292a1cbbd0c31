#include "kernels/lanes.h"
#include "kernels/roi/roi_gather.h"
#include "kernels/roi/roi_pool.h"
#include "kernels/roi/roi_pool_math.h"
#include "kernels/spatial/max_pool_math.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;

struct BinPixels {
  int first_row, end_row, first_column, end_column;
  __device__ bool empty() const { return end_row <= first_row || end_column <= first_column; }
};

__device__ BinPixels bin_pixels_of(const RoiLevels& a, const float* roi, int level, int py, int px) {
  const PixelRange rows = bin_pixels(roi_pixels(roi[1], roi[3], a.scale[level]), py, a.ph, a.h[level]);
  const PixelRange columns = bin_pixels(roi_pixels(roi[0], roi[2], a.scale[level]), px, a.pw, a.w[level]);
  return {static_cast<int>(rows.begin), static_cast<int>(rows.end), static_cast<int>(columns.begin),
          static_cast<int>(columns.end)};
}

/// One warp per bin; each lane takes every 32nd vector of kWidth channels. Bottleneck: the caches, which
/// serve the pixels that neighbouring bins share.
template <int kWidth>
__global__ void warp_per_bin_kernel(RoiPoolArgs<float> a) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;  // the bin, over all RoIs
  if (at >= a.n * a.r * a.ph * a.pw) return;
  const int c = static_cast<int>(a.c), bins = static_cast<int>(a.ph * a.pw), pw = static_cast<int>(a.pw);
  const int k = static_cast<int>(at) / bins, bin = static_cast<int>(at) % bins;
  const int image = k / static_cast<int>(a.r), row = k % static_cast<int>(a.r);
  BinPixels pixels{0, 0, 0, 0};
  int level = 0;
  if (!is_padding(a, image, row)) {
    const float* roi = a.rois + int64_t{k} * 4;
    level = roi_level(a, roi);
    pixels = bin_pixels_of(a, roi, level, bin / pw, bin % pw);
  }
  const int w = static_cast<int>(a.w[level]), first = pixels.first_row * w + pixels.first_column;
  const float* map = a.x[level] + image * a.h[level] * w * c;
  for (int channel = static_cast<int>(threadIdx.x) % 32 * kWidth; channel < c; channel += 32 * kWidth) {
    Lanes<kWidth> best{};
    Lanes<kWidth, int32_t> argmax;
    RCNN_UNROLL
    for (int v = 0; v < kWidth; ++v) argmax.v[v] = pixels.empty() ? -1 : first;
    if (!pixels.empty()) best = load_lanes<kWidth>(map + int64_t{first} * c + channel);
    for (int i = pixels.first_row; i < pixels.end_row; ++i)
      for (int j = pixels.first_column; j < pixels.end_column; ++j) {
        const int pixel = i * w + j;
        const Lanes<kWidth> values = load_lanes<kWidth>(map + int64_t{pixel} * c + channel);
        RCNN_UNROLL
        for (int v = 0; v < kWidth; ++v)
          if (exceeds(values.v[v], best.v[v])) {
            best.v[v] = values.v[v];
            argmax.v[v] = pixel;
          }
      }
    store_lanes(a.y + at * c + channel, best);
    store_lanes(a.argmax + at * c + channel, argmax);
  }
}

// ---- backward --------------------------------------------------------------------------------------------

/// The pixels of a RoI on both axes of its level.
struct PooledRoi {
  RoiPixels y, x;
};

/// The rule of roi_gather.h: a bin gives its gradient to the pixel that argmax names.
struct GiveToMaximum {
  RoiPoolBackwardArgs<float> a;
  const PooledRoi* rois;  // (N R)

  __device__ static float weight(const RoiPixels& roi, int bin, int64_t bins, int64_t size, int at) {
    const PixelRange pixels = bin_pixels(roi, bin, bins, size);
    return pixels.begin <= at && at < pixels.end ? 1.0f : 0.0f;
  }
  __device__ float y_weight(int64_t roi, int level, int bin, int y) const {
    return weight(rois[roi].y, bin, a.ph, a.h[level], y);
  }
  __device__ float x_weight(int64_t roi, int level, int bin, int x) const {
    return weight(rois[roi].x, bin, a.pw, a.w[level], x);
  }
  template <int kWidth>
  __device__ void add(Lanes<kWidth>& sum, int64_t at, float, int pixel) const {
    const Lanes<kWidth, int32_t> argmax = load_lanes<kWidth>(a.argmax + at);
    const Lanes<kWidth> dy = load_lanes<kWidth>(a.dy + at);
    RCNN_UNROLL
    for (int v = 0; v < kWidth; ++v)
      if (argmax.v[v] == pixel) sum.v[v] += dy.v[v];
  }
};

__device__ AxisReach reach_of(const RoiPixels& roi, int64_t bins, int64_t size) {
  return {static_cast<int>(bin_pixels(roi, 0, bins, size).begin),
          static_cast<int>(bin_pixels(roi, bins - 1, bins, size).end) - 1};
}

/// Computes the pixels and the reach of every RoI, with one thread per RoI.
__global__ void pixels_kernel(RoiLevels a, PooledRoi* rois, RoiReach* reaches) {
  const int64_t k = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (k >= a.n * a.r) return;
  if (is_padding(a, k / a.r, k % a.r)) {
    reaches[k] = {-1, {0, -1}, {0, -1}};
    return;
  }
  const float* roi = a.rois + k * 4;
  const int level = roi_level(a, roi);
  const RoiPixels y = roi_pixels(roi[1], roi[3], a.scale[level]),
                  x = roi_pixels(roi[0], roi[2], a.scale[level]);
  rois[k] = {y, x};
  reaches[k] = {level, reach_of(y, a.ph, a.h[level]), reach_of(x, a.pw, a.w[level])};
}

struct Gathering {
  GiveToMaximum rule;
  const RoiReach* reaches;
};

Gathering prepare(const Stream& stream, Workspace& workspace, const RoiPoolBackwardArgs<float>& a) {
  PooledRoi* rois = workspace.take<PooledRoi>(a.n * a.r);
  RoiReach* reaches = workspace.take<RoiReach>(a.n * a.r);
  launch<pixels_kernel>(stream, blocks_for(a.n * a.r, kThreads), kThreads, 0,
                        static_cast<const RoiLevels&>(a), rois, reaches);
  return {{a, rois}, reaches};
}

}  // namespace

void roi_pool_warp_per_bin(const Stream& stream, Workspace&, const RoiPoolArgs<float>& a) {
  bool vectors = four_at_a_time(a.c, {a.y, a.argmax});
  for (int l = 0; l < a.levels; ++l) vectors = vectors && four_at_a_time(a.c, {a.x[l]});
  const unsigned blocks = blocks_for(a.n * a.r * a.ph * a.pw, kWarps);
  if (vectors)
    launch<warp_per_bin_kernel<4>>(stream, blocks, kThreads, 0, a);
  else
    launch<warp_per_bin_kernel<1>>(stream, blocks, kThreads, 0, a);
}

void roi_pool_backward_warp_per_pixel(const Stream& stream, Workspace& workspace,
                                      const RoiPoolBackwardArgs<float>& a) {
  const Gathering gathering = prepare(stream, workspace, a);
  bool vectors = four_at_a_time(a.c, {a.dy, a.argmax});
  for (int l = 0; l < a.levels; ++l) vectors = vectors && four_at_a_time(a.c, {a.dx[l]});
  if (vectors)
    gather_warp_per_pixel<4>(stream, gathering.rule, gathering.reaches);
  else
    gather_warp_per_pixel<1>(stream, gathering.rule, gathering.reaches);
}

void roi_pool_backward_thread_per_input(const Stream& stream, Workspace& workspace,
                                        const RoiPoolBackwardArgs<float>& a) {
  const Gathering gathering = prepare(stream, workspace, a);
  gather_thread_per_input(stream, gathering.rule, gathering.reaches);
}

}  // namespace rcnn::kernels
