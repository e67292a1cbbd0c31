#include "core/parallel.h"
#include "kernels/spatial/upsample_add.h"
#include "kernels/spatial/upsample_add_math.h"

namespace rcnn::kernels {

template <class T>
void upsample_add_reference(const Stream&, Workspace&, const UpsampleAddArgs<T>& a) {
  parallel_each(a.n * a.h, 8, [&](int64_t row) {
    const int64_t n = row / a.h, i = row % a.h;
    const T* top_row = a.top + (n * a.th + upsample_source(i, a.h, a.th)) * a.tw * a.c;
    for (int64_t j = 0; j < a.w; ++j) {
      const T* top = top_row + upsample_source(j, a.w, a.tw) * a.c;
      const int64_t at = (row * a.w + j) * a.c;
      for (int64_t c = 0; c < a.c; ++c) a.y[at + c] = a.lateral[at + c] + top[c];
    }
  });
}

template <class T>
void upsample_add_backward_reference(const Stream&, Workspace&, const UpsampleAddBackwardArgs<T>& a) {
  parallel_each(a.n * a.th, 4, [&](int64_t row) {
    const int64_t n = row / a.th, r = row % a.th;
    for (int64_t s = 0; s < a.tw; ++s) {
      T* dtop = a.dtop + (row * a.tw + s) * a.c;
      if (a.accumulate == Accumulate::no) std::fill(dtop, dtop + a.c, T(0));
      for (int64_t i = upsample_first(r, a.h, a.th); i < upsample_first(r + 1, a.h, a.th); ++i)
        for (int64_t j = upsample_first(s, a.w, a.tw); j < upsample_first(s + 1, a.w, a.tw); ++j) {
          const T* dy = a.dy + ((n * a.h + i) * a.w + j) * a.c;
          for (int64_t c = 0; c < a.c; ++c) dtop[c] += dy[c];
        }
    }
  });
}

template Run<UpsampleAddArgs<float>> upsample_add_reference<float>;
template Run<UpsampleAddArgs<double>> upsample_add_reference<double>;
template Run<UpsampleAddBackwardArgs<float>> upsample_add_backward_reference<float>;
template Run<UpsampleAddBackwardArgs<double>> upsample_add_backward_reference<double>;

}  // namespace rcnn::kernels
