#include <algorithm>

#include "core/parallel.h"
#include "kernels/spatial/max_pool.h"
#include "kernels/spatial/max_pool_math.h"

namespace rcnn::kernels {
namespace {

constexpr int64_t kBlock = 64;  // channels that backward searches at a time

template <class Args>
PoolWindow window(const Args& a, int64_t out, int64_t size) {
  return pool_window(out, size, a.kernel, a.stride, a.pad);
}

/// Finds the pixel (row * w + column) of the first maximum of a window, for each of the `count` <= kBlock
/// channels that begin at `x`.
template <class T>
void find_maxima(const MaxPoolBackwardArgs<T>& a, const T* x, PoolWindow rows, PoolWindow columns,
                 int64_t count, int32_t* place) {
  T best[kBlock];
  const int64_t first = rows.begin * a.w + columns.begin;
  std::copy_n(x + first * a.c, count, best);
  std::fill_n(place, count, static_cast<int32_t>(first));
  for (int64_t i = rows.begin; i < rows.end; ++i)
    for (int64_t j = columns.begin; j < columns.end; ++j) {
      const int32_t at = static_cast<int32_t>(i * a.w + j);
      const T* candidate = x + at * a.c;
      for (int64_t c = 0; c < count; ++c) {
        const bool larger = exceeds(candidate[c], best[c]);
        best[c] = larger ? candidate[c] : best[c];
        place[c] = larger ? at : place[c];
      }
    }
}

}  // namespace

template <class T>
void max_pool_reference(const Stream&, Workspace&, const MaxPoolArgs<T>& a) {
  parallel_for(a.n * a.oh, 4, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* image = a.x + row / a.oh * a.h * a.w * a.c;
      const PoolWindow rows = window(a, row % a.oh, a.h);
      for (int64_t oj = 0; oj < a.ow; ++oj) {
        const PoolWindow columns = window(a, oj, a.w);
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
  // Windows may overlap, so a chunk of work is a band of rows of dx: it searches every window that meets
  // the band and adds the values of dy whose maximum lies in it.
  constexpr int64_t kBand = 16;
  const int64_t bands = (a.h + kBand - 1) / kBand;
  parallel_chunks(a.n * bands, [&](int64_t chunk) {
    const int64_t n = chunk / bands, begin = chunk % bands * kBand, end = std::min(a.h, begin + kBand);
    T* dx = a.dx + n * a.h * a.w * a.c;
    if (a.accumulate == Accumulate::no) std::fill(dx + begin * a.w * a.c, dx + end * a.w * a.c, T(0));
    for (int64_t oi = 0; oi < a.oh; ++oi) {
      const PoolWindow rows = window(a, oi, a.h);
      if (rows.end <= begin || rows.begin >= end) continue;
      for (int64_t oj = 0; oj < a.ow; ++oj)
        for (int64_t c0 = 0; c0 < a.c; c0 += kBlock) {
          const int64_t count = std::min(kBlock, a.c - c0);
          int32_t place[kBlock];
          find_maxima(a, a.x + n * a.h * a.w * a.c + c0, rows, window(a, oj, a.w), count, place);
          const T* dy = a.dy + ((n * a.oh + oi) * a.ow + oj) * a.c + c0;
          for (int64_t c = 0; c < count; ++c)
            if (place[c] >= begin * a.w && place[c] < end * a.w) dx[place[c] * a.c + c0 + c] += dy[c];
        }
    }
  });
}

template Run<MaxPoolArgs<float>> max_pool_reference<float>;
template Run<MaxPoolArgs<double>> max_pool_reference<double>;
template Run<MaxPoolBackwardArgs<float>> max_pool_backward_reference<float>;
template Run<MaxPoolBackwardArgs<double>> max_pool_backward_reference<double>;

}  // namespace rcnn::kernels
