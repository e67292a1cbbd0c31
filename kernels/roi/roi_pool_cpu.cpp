#include <algorithm>

#include "core/parallel.h"
#include "kernels/roi/roi_pool.h"
#include "kernels/roi/roi_pool_math.h"
#include "kernels/spatial/max_pool_math.h"

namespace rcnn::kernels {
namespace {

template <class T>
void pool_roi(const RoiPoolArgs<T>& a, int64_t k, T* y, int32_t* argmax) {
  const float* roi = a.rois + k * 4;
  const int level = roi_level(a, roi);
  const int64_t h = a.h[level], w = a.w[level];
  const T* map = a.x[level] + k / a.r * h * w * a.c;
  const RoiPixels rows = roi_pixels(roi[1], roi[3], a.scale[level]),
                  columns = roi_pixels(roi[0], roi[2], a.scale[level]);
  for (int64_t py = 0; py < a.ph; ++py)
    for (int64_t px = 0; px < a.pw; ++px, y += a.c, argmax += a.c) {
      const PixelRange i_range = bin_pixels(rows, py, a.ph, h), j_range = bin_pixels(columns, px, a.pw, w);
      const bool empty = i_range.end <= i_range.begin || j_range.end <= j_range.begin;
      const int64_t first = i_range.begin * w + j_range.begin;
      for (int64_t c = 0; c < a.c; ++c) {
        y[c] = empty ? T(0) : map[first * a.c + c];
        argmax[c] = empty ? -1 : static_cast<int32_t>(first);
      }
      for (int64_t i = i_range.begin; i < i_range.end; ++i)
        for (int64_t j = j_range.begin; j < j_range.end; ++j) {
          const int32_t at = static_cast<int32_t>(i * w + j);
          const T* x = map + at * a.c;
          for (int64_t c = 0; c < a.c; ++c) {
            const bool larger = exceeds(x[c], y[c]);
            y[c] = larger ? x[c] : y[c];
            argmax[c] = larger ? at : argmax[c];
          }
        }
    }
}

}  // namespace

template <class T>
void roi_pool_reference(const Stream&, Workspace&, const RoiPoolArgs<T>& a) {
  const int64_t size = a.ph * a.pw * a.c;
  parallel_for(a.n * a.r, 4, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      if (is_padding(a, k / a.r, k % a.r)) {
        std::fill_n(a.y + k * size, size, T(0));
        std::fill_n(a.argmax + k * size, size, -1);
      } else {
        pool_roi(a, k, a.y + k * size, a.argmax + k * size);
      }
    }
  });
}

template <class T>
void roi_pool_backward_reference(const Stream&, Workspace&, const RoiPoolBackwardArgs<T>& a) {
  // RoIs overlap but channels do not, so each chunk is a few channels of one image.
  constexpr int64_t kBlock = 16;
  const int64_t blocks = (a.c + kBlock - 1) / kBlock, bins = a.ph * a.pw;
  parallel_chunks(a.n * blocks, [&](int64_t chunk) {
    const int64_t image = chunk / blocks, c0 = chunk % blocks * kBlock, count = std::min(kBlock, a.c - c0);
    T* maps[kMaxLevels] = {};
    for (int l = 0; l < a.levels; ++l) {
      if (a.dx[l] == nullptr) continue;
      const int64_t pixels = a.h[l] * a.w[l];
      maps[l] = a.dx[l] + image * pixels * a.c + c0;
      if (a.accumulate[l] == Accumulate::no)
        for (int64_t pixel = 0; pixel < pixels; ++pixel) std::fill_n(maps[l] + pixel * a.c, count, T(0));
    }
    for (int64_t row = 0; row < a.r && !is_padding(a, image, row); ++row) {
      const int64_t k = image * a.r + row;
      T* map = maps[roi_level(a, a.rois + k * 4)];
      if (map == nullptr) continue;
      for (int64_t at = k * bins * a.c + c0; at < (k + 1) * bins * a.c; at += a.c)
        for (int64_t c = 0; c < count; ++c)
          if (a.argmax[at + c] >= 0) map[a.argmax[at + c] * a.c + c] += a.dy[at + c];
    }
  });
}

template Run<RoiPoolArgs<float>> roi_pool_reference<float>;
template Run<RoiPoolArgs<double>> roi_pool_reference<double>;
template Run<RoiPoolBackwardArgs<float>> roi_pool_backward_reference<float>;
template Run<RoiPoolBackwardArgs<double>> roi_pool_backward_reference<double>;

}  // namespace rcnn::kernels
