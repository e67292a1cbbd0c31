// The backward pass of the ops that pool RoIs, on the GPU, in a fixed order and without atomics: every pixel
// of the gradient gathers its contributions from all RoIs, RoI by RoI and bin by bin.
//
// A rule tells what the bins of an op contribute to a pixel:
//
//     rule.a                             the op's arguments, with dx and accumulate
//     rule.y_weight(roi, level, bin, y)  how much row y of the map counts in bin row `bin`; 0: not at all
//     rule.x_weight(roi, level, bin, x)  the same for columns
//     rule.add(sum, at, weight, pixel)   adds to `sum` what the gradients from dy[at] on contribute to a
//                                        pixel that counts `weight` in their bin
#pragma once

#include "kernels/block_sum.h"
#include "kernels/lanes.h"
#include "kernels/op.h"
#include "kernels/roi/roi_levels.h"

namespace rcnn::kernels {

/// The first and the last pixel that a RoI may reach on an axis; none if last < first.
struct AxisReach {
  int first, last;
};

/// The pixels that a RoI may contribute to. Level -1: none.
struct RoiReach {
  int level;
  AxisReach y, x;
};

namespace roi_gather {

constexpr int kTile = 8;              // pixels of one row of a map, one warp each
constexpr int kThreads = 32 * kTile;  // also the number of RoIs tested at a time
constexpr int kBatch = 16;            // RoIs whose weights are in shared memory at a time
constexpr int kGroups = 2;            // channel vectors per lane

struct TilePlace {
  int level, y, x;
};

/// The place of tile number `tile`. Tiles are counted over the levels that need a gradient, the coarsest
/// level first, because its pixels have the most contributions to gather.
template <class Args>
__device__ TilePlace tile_place(const Args& a, int tile) {
  for (int level = a.levels - 1;; --level) {
    if (a.dx[level] == nullptr) continue;
    const int across = static_cast<int>(blocks_for(a.w[level], kTile));
    const int tiles = across * static_cast<int>(a.h[level]);
    if (tile < tiles) return {level, tile / across, tile % across * kTile};
    tile -= tiles;
  }
}

/// Whether a RoI reaches one of the pixels from (y, x) to (y, x + width - 1) of a level.
__device__ inline bool reaches(const RoiReach& reach, int level, int y, int x, int width) {
  return reach.level == level && reach.y.first <= y && y <= reach.y.last && reach.x.first < x + width &&
         x <= reach.x.last;
}

/// One block per tile, one warp per pixel, 2 kWidth channels per lane; blockIdx.y counts groups of channels,
/// blockIdx.z images. The block selects the RoIs that reach the tile, in order, and computes their weights in
/// shared memory, kBatch RoIs at a time, (ph + 8 pw) floats per RoI. Bottleneck: the latency of loading
/// gradients if many RoIs overlap, writing dx if few do.
template <class Rule, int kWidth>
__global__ void warp_per_pixel_kernel(Rule rule, const RoiReach* all_reaches) {
  RCNN_SHARED(int, chosen, [kThreads]);
  float* weights = dynamic_shared<float>();
  const auto& a = rule.a;
  const TilePlace tile = tile_place(a, static_cast<int>(blockIdx.x));
  const int level = tile.level, ph = static_cast<int>(a.ph), pw = static_cast<int>(a.pw);
  const int own = static_cast<int>(threadIdx.x), lane = own % 32, x = tile.x + own / 32;
  const int rois = static_cast<int>(a.r), c = static_cast<int>(a.c), w = static_cast<int>(a.w[level]);
  const int pixel = tile.y * w + x;
  const int first_channel = (static_cast<int>(blockIdx.y) * kGroups * 32 + lane) * kWidth;
  const int64_t first_roi = static_cast<int64_t>(blockIdx.z) * rois;
  const int size = ph + kTile * pw;  // weights per RoI
  Lanes<kWidth> sums[kGroups] = {};

  for (int first = 0; first < rois; first += kThreads) {
    const int row = first + own;
    const bool hit = row < rois && reaches(all_reaches[first_roi + row], level, tile.y, tile.x, kTile);
    const BlockScan scan = block_scan(hit);
    if (hit) chosen[scan.before] = row;
    __syncthreads();
    for (int begin = 0; begin < scan.total; begin += kBatch) {
      const int count = scan.total - begin < kBatch ? scan.total - begin : kBatch;
      for (int i = own; i < count * size; i += kThreads) {
        const int64_t roi = first_roi + chosen[begin + i / size];
        const int at = i % size, column = at - ph;
        weights[i] = at < ph ? rule.y_weight(roi, level, at, tile.y)
                             : rule.x_weight(roi, level, column % pw, tile.x + column / pw);
      }
      __syncthreads();
      for (int i = 0; i < count && x < w; ++i) {  // the same for all lanes
        const int64_t roi = first_roi + chosen[begin + i];
        const float* y_weights = weights + i * size;
        const float* x_weights = y_weights + ph + own / 32 * pw;
        unsigned rows = __ballot_sync(kAllLanes, lane < ph && y_weights[lane] != 0);
        const unsigned columns = __ballot_sync(kAllLanes, lane < pw && x_weights[lane] != 0);
        for (; rows != 0; rows &= rows - 1) {
          const int py = __ffs(static_cast<int>(rows)) - 1;
          for (unsigned left = columns; left != 0; left &= left - 1) {
            const int px = __ffs(static_cast<int>(left)) - 1;
            const float weight = y_weights[py] * x_weights[px];
            const int64_t at = ((roi * ph + py) * pw + px) * c;
            RCNN_UNROLL
            for (int g = 0; g < kGroups; ++g) {
              const int channel = first_channel + g * 32 * kWidth;
              if (channel < c) rule.add(sums[g], at + channel, weight, pixel);
            }
          }
        }
      }
      __syncthreads();
    }
  }
  if (x >= w) return;
  float* dx = a.dx[level] + (blockIdx.z * a.h[level] * w + pixel) * c;
  RCNN_UNROLL
  for (int g = 0; g < kGroups; ++g) {
    const int channel = first_channel + g * 32 * kWidth;
    if (channel >= c) continue;
    Lanes<kWidth> result = sums[g];
    if (a.accumulate[level] == Accumulate::yes) result = load_lanes<kWidth>(dx + channel);
    RCNN_UNROLL
    for (int i = 0; i < kWidth; ++i) put(result.v[i], sums[g].v[i], a.accumulate[level]);
    store_lanes(dx + channel, result);
  }
}

/// The same in its simplest form: one thread per value of dx[level] (N, h, w, C). Bottleneck: arithmetic,
/// nearly all of it spent on RoIs that contribute nothing.
template <class Rule>
__global__ void thread_per_input_kernel(Rule rule, const RoiReach* all_reaches, int level) {
  const auto& a = rule.a;
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t w = a.w[level], pixels = a.h[level] * w;
  if (at >= a.n * pixels * a.c) return;
  const int64_t channel = at % a.c, image = at / a.c / pixels, pixel = at / a.c % pixels;
  const int y = static_cast<int>(pixel / w), x = static_cast<int>(pixel % w);
  Lanes<1> sum{};
  for (int64_t roi = image * a.r; roi < (image + 1) * a.r; ++roi) {
    if (!reaches(all_reaches[roi], level, y, x, 1)) continue;
    for (int py = 0; py < a.ph; ++py) {
      const float y_weight = rule.y_weight(roi, level, py, y);
      if (y_weight == 0) continue;
      for (int px = 0; px < a.pw; ++px) {
        const float weight = y_weight * rule.x_weight(roi, level, px, x);
        if (weight != 0)
          rule.add(sum, ((roi * a.ph + py) * a.pw + px) * a.c + channel, weight, static_cast<int>(pixel));
      }
    }
  }
  put(a.dx[level][at], sum.v[0], a.accumulate[level]);
}

}  // namespace roi_gather

/// Gathers with one warp per pixel. Requires bins_fit_a_warp.
template <int kWidth, class Rule>
void gather_warp_per_pixel(const Stream& stream, const Rule& rule, const RoiReach* reaches) {
  const auto& a = rule.a;
  int64_t tiles = 0;
  for (int l = 0; l < a.levels; ++l)
    if (a.dx[l] != nullptr) tiles += a.h[l] * blocks_for(a.w[l], roi_gather::kTile);
  const dim3 grid(static_cast<unsigned>(tiles), blocks_for(a.c, roi_gather::kGroups * 32 * kWidth),
                  static_cast<unsigned>(a.n));
  const size_t weights = static_cast<size_t>(a.ph + roi_gather::kTile * a.pw) * roi_gather::kBatch;
  launch<roi_gather::warp_per_pixel_kernel<Rule, kWidth>>(stream, grid, roi_gather::kThreads,
                                                          weights * sizeof(float), rule, reaches);
}

/// Gathers with one thread per value.
template <class Rule>
void gather_thread_per_input(const Stream& stream, const Rule& rule, const RoiReach* reaches) {
  const auto& a = rule.a;
  for (int l = 0; l < a.levels; ++l)
    if (a.dx[l] != nullptr)
      launch<roi_gather::thread_per_input_kernel<Rule>>(
          stream, blocks_for(a.n * a.h[l] * a.w[l] * a.c, roi_gather::kThreads), roi_gather::kThreads, 0,
          rule, reaches, l);
}

}  // namespace rcnn::kernels
