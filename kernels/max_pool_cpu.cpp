#include <algorithm>

#include "core/parallel.h"
#include "kernels/max_pool.h"
#include "kernels/max_pool_math.h"

namespace rcnn::kernels {
namespace {

/// The part of a window that lies on an axis of `size` pixels.
struct Window {
  int64_t begin, end;
};

template <class Args>
Window window(const Args& a, int64_t out, int64_t size) {
  const int64_t start = out * a.stride - a.pad;
  return {std::max<int64_t>(start, 0), std::min(start + a.kernel, size)};
}

}  // namespace

template <class T>
void max_pool_reference(const Stream&, Workspace&, const MaxPoolArgs<T>& a) {
  parallel_for(a.n * a.oh, 4, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* image = a.x + row / a.oh * a.h * a.w * a.c;
      const Window rows = window(a, row % a.oh, a.h);
      for (int64_t oj = 0; oj < a.ow; ++oj) {
        const Window columns = window(a, oj, a.w);
        T* y = a.y + (row * a.ow + oj) * a.c;
        std::copy_n(image + (rows.begin * a.w + columns.begin) * a.c, a.c, y);
        for (int64_t i = rows.begin; i < rows.end; ++i)
          for (int64_t j = columns.begin; j < columns.end; ++j) {
            const T* x = image + (i * a.w + j) * a.c;
            for (int64_t c = 0; c < a.c; ++c) y[c] = exceeds(x[c], y[c]) ? x[c] : y[c];
          }
      }
    }
  });
}

template <class T>
void max_pool_backward_reference(const Stream&, Workspace&, const MaxPoolBackwardArgs<T>& a) {
  // Windows may overlap in rows and columns, never in channels: a chunk is a few channels of an image.
  constexpr int64_t kBlock = 16;
  const int64_t blocks = (a.c + kBlock - 1) / kBlock;
  parallel_chunks(a.n * blocks, [&](int64_t chunk) {
    const int64_t n = chunk / blocks, c0 = chunk % blocks * kBlock, count = std::min(kBlock, a.c - c0);
    const T* x = a.x + n * a.h * a.w * a.c + c0;
    T* dx = a.dx + n * a.h * a.w * a.c + c0;
    const T* dy = a.dy + n * a.oh * a.ow * a.c + c0;
    if (a.accumulate == Accumulate::no)
      for (int64_t pixel = 0; pixel < a.h * a.w; ++pixel) std::fill_n(dx + pixel * a.c, count, T(0));
    for (int64_t oi = 0; oi < a.oh; ++oi)
      for (int64_t oj = 0; oj < a.ow; ++oj, dy += a.c) {
        const Window rows = window(a, oi, a.h), columns = window(a, oj, a.w);
        const auto pixel = [&](int64_t row, int64_t column) {
          return static_cast<int32_t>(row * a.w + column);
        };
        T best[kBlock];
        int32_t place[kBlock];
        std::copy_n(x + pixel(rows.begin, columns.begin) * a.c, count, best);
        std::fill_n(place, count, pixel(rows.begin, columns.begin));
        for (int64_t i = rows.begin; i < rows.end; ++i)
          for (int64_t j = columns.begin; j < columns.end; ++j) {
            const int32_t at = pixel(i, j);
            const T* candidate = x + at * a.c;
            for (int64_t c = 0; c < count; ++c) {
              const bool larger = exceeds(candidate[c], best[c]);
              best[c] = larger ? candidate[c] : best[c];
              place[c] = larger ? at : place[c];
            }
          }
        for (int64_t c = 0; c < count; ++c) dx[place[c] * a.c + c] += dy[c];
      }
  });
}

template void max_pool_reference(const Stream&, Workspace&, const MaxPoolArgs<float>&);
template void max_pool_reference(const Stream&, Workspace&, const MaxPoolArgs<double>&);
template void max_pool_backward_reference(const Stream&, Workspace&, const MaxPoolBackwardArgs<float>&);
template void max_pool_backward_reference(const Stream&, Workspace&, const MaxPoolBackwardArgs<double>&);

}  // namespace rcnn::kernels
