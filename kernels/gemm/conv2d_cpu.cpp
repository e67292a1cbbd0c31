#include <algorithm>

#include "core/parallel.h"
#include "kernels/gemm/conv2d.h"
#include "kernels/gemm/epilogue_math.h"

namespace rcnn::kernels {

template <class T>
void conv2d_reference(const Stream&, Workspace&, const Conv2dArgs<T>& a) {
  const Conv2dShape& p = a.shape;
  const int64_t oh = p.oh(), ow = p.ow();
  parallel_chunks(p.n * oh, [&](int64_t row) {
    const int64_t n = row / oh, i = row % oh;
    for (int64_t j = 0; j < ow; ++j)
      for (int64_t k = 0; k < p.k; ++k) {
        T sum = 0;
        for (int64_t r = 0; r < p.r; ++r) {
          const int64_t y = i * p.stride + r * p.dilation - p.pad;
          if (y < 0 || y >= p.h) continue;
          for (int64_t s = 0; s < p.s; ++s) {
            const int64_t x = j * p.stride + s * p.dilation - p.pad;
            if (x < 0 || x >= p.w) continue;
            const T* input = a.x + ((n * p.h + y) * p.w + x) * p.c;
            const T* filter = a.w + ((k * p.r + r) * p.s + s) * p.c;
            for (int64_t c = 0; c < p.c; ++c) sum += input[c] * filter[c];
          }
        }
        const int64_t at = (row * ow + j) * p.k + k;
        a.y[at] = epilogue_value(sum, a.scale ? a.scale[k] : T(1), a.bias ? a.bias[k] : T(0),
                                 a.residual ? a.residual[at] : T(0), a.relu);
      }
  });
}

// Both gradients gather: each output element is summed by one thread, in a fixed order.

template <class T>
void conv2d_dx_reference(const Stream&, Workspace&, const Conv2dDxArgs<T>& a) {
  const Conv2dShape& p = a.shape;
  const int64_t oh = p.oh(), ow = p.ow();
  parallel_chunks(p.n * p.h, [&](int64_t row) {
    const int64_t n = row / p.h, y = row % p.h;
    for (int64_t x = 0; x < p.w; ++x) {
      T* dx = a.dx + (row * p.w + x) * p.c;
      if (a.accumulate == Accumulate::no) std::fill(dx, dx + p.c, T(0));
      for (int64_t r = 0; r < p.r; ++r) {
        const int64_t i = y + p.pad - r * p.dilation;  // = output row * stride
        if (i < 0 || i % p.stride != 0 || i / p.stride >= oh) continue;
        for (int64_t s = 0; s < p.s; ++s) {
          const int64_t j = x + p.pad - s * p.dilation;
          if (j < 0 || j % p.stride != 0 || j / p.stride >= ow) continue;
          const T* g = a.g + ((n * oh + i / p.stride) * ow + j / p.stride) * p.k;
          for (int64_t k = 0; k < p.k; ++k) {
            const T* filter = a.w + ((k * p.r + r) * p.s + s) * p.c;
            for (int64_t c = 0; c < p.c; ++c) dx[c] += g[k] * filter[c];
          }
        }
      }
    }
  });
}

template <class T>
void conv2d_dw_reference(const Stream&, Workspace&, const Conv2dDwArgs<T>& a) {
  const Conv2dShape& p = a.shape;
  const int64_t oh = p.oh(), ow = p.ow();
  parallel_chunks(p.k * p.r * p.s, [&](int64_t tap) {
    const int64_t k = tap / (p.r * p.s), r = tap / p.s % p.r, s = tap % p.s;
    T* dw = a.dw + tap * p.c;
    if (a.accumulate == Accumulate::no) std::fill(dw, dw + p.c, T(0));
    for (int64_t n = 0; n < p.n; ++n)
      for (int64_t i = 0; i < oh; ++i) {
        const int64_t y = i * p.stride + r * p.dilation - p.pad;
        if (y < 0 || y >= p.h) continue;
        for (int64_t j = 0; j < ow; ++j) {
          const int64_t x = j * p.stride + s * p.dilation - p.pad;
          if (x < 0 || x >= p.w) continue;
          const T g = a.g[((n * oh + i) * ow + j) * p.k + k];
          const T* input = a.x + ((n * p.h + y) * p.w + x) * p.c;
          for (int64_t c = 0; c < p.c; ++c) dw[c] += g * input[c];
        }
      }
  });
}

template Run<Conv2dArgs<float>> conv2d_reference<float>;
template Run<Conv2dArgs<double>> conv2d_reference<double>;
template Run<Conv2dDxArgs<float>> conv2d_dx_reference<float>;
template Run<Conv2dDxArgs<double>> conv2d_dx_reference<double>;
template Run<Conv2dDwArgs<float>> conv2d_dw_reference<float>;
template Run<Conv2dDwArgs<double>> conv2d_dw_reference<double>;

}  // namespace rcnn::kernels
