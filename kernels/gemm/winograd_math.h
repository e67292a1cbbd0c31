// The transforms of Winograd's convolution F(m x m, 3 x 3): see docs/winograd.md, which derives them.
//
// An m x m tile of the output is computed from a patch d of (m + 2) x (m + 2) inputs and a filter g of 3 x 3:
//
//     y = A^T [(G g G^T) * (B^T d B)] A / divisor^2        * multiplies element by element
//
// Lavin and Gray (Fast Algorithms for Convolutional Neural Networks, 2015) give these matrices with fractions
// in G. Here G is multiplied by their common divisor, so that all three matrices hold whole numbers. Only the
// last step, the division, can then leave the whole numbers, and whole inputs give exact results, as they do
// in direct convolution. Multiplying by the divisor does not change the accuracy of other inputs.
//
// The gradient of the filter goes backwards through the same steps, with the transposed matrices:
//
//     dg = G^T [(B^T d B) * (A dy A^T)] G / divisor^2
//
// The functions are templates of the number type: float, double, or a SIMD vector of floats. They are always
// inlined, because a translation unit may be compiled for another instruction set than its neighbours.
#pragma once

#include <cstdint>

#include "kernels/gemm/always_inline.h"

namespace rcnn::kernels {

/// a + b * factor. A SIMD vector has an overload of its own, which may round once.
template <class T>
RCNN_ALWAYS_INLINE T add_times(const T& a, const T& b, int factor) {
  return a + b * static_cast<T>(factor);
}

///        1  0 -1  0           2  0  0
/// B^T =  0  1  1  0      G =  1  1  1      A^T =  1  1  1  0
///        0 -1  1  0           1 -1  1             0  1 -1  1
///        0 -1  0  1           0  0  2
struct WinogradF2 {
  static constexpr int kTile = 2, kPatch = 4, kDivisor = 2;

  template <class T>
  RCNN_ALWAYS_INLINE static void input(const T (&d)[4], T (&v)[4]) {
    v[0] = d[0] - d[2];
    v[1] = d[1] + d[2];
    v[2] = d[2] - d[1];
    v[3] = d[3] - d[1];
  }
  template <class T>
  RCNN_ALWAYS_INLINE static void filter(const T (&g)[3], T (&u)[4]) {
    const T even = g[0] + g[2];
    u[0] = g[0] * 2;
    u[1] = even + g[1];
    u[2] = even - g[1];
    u[3] = g[2] * 2;
  }
  template <class T>
  RCNN_ALWAYS_INLINE static void output(const T (&m)[4], T (&y)[2]) {
    y[0] = m[0] + m[1] + m[2];
    y[1] = m[1] - m[2] + m[3];
  }
  template <class T>
  RCNN_ALWAYS_INLINE static void output_gradient(const T (&y)[2], T (&m)[4]) {
    m[0] = y[0];
    m[1] = y[0] + y[1];
    m[2] = y[0] - y[1];
    m[3] = y[1];
  }
  template <class T>
  RCNN_ALWAYS_INLINE static void filter_gradient(const T (&u)[4], T (&g)[3]) {
    const T sum = u[1] + u[2];
    g[0] = add_times(sum, u[0], 2);
    g[1] = u[1] - u[2];
    g[2] = add_times(sum, u[3], 2);
  }
};

///        4  0 -5  0  1  0            6  0  0
///        0 -4 -4  1  1  0           -4 -4 -4             1  1  1  1  1  0
/// B^T =  0  4 -4 -1  1  0      G =  -4  4 -4      A^T =  0  1 -1  2 -2  0
///        0 -2 -1  2  1  0            1  2  4             0  1  1  4  4  0
///        0  2 -1 -2  1  0            1 -2  4             0  1 -1  8 -8  1
///        0  4  0 -5  0  1            0  0 24
struct WinogradF4 {
  static constexpr int kTile = 4, kPatch = 6, kDivisor = 24;

  template <class T>
  RCNN_ALWAYS_INLINE static void input(const T (&d)[6], T (&v)[6]) {
    const T even1 = add_times(d[4], d[2], -4), odd1 = add_times(d[3], d[1], -4);
    const T even2 = d[4] - d[2], odd2 = d[3] - d[1];
    v[0] = add_times(add_times(d[4], d[2], -5), d[0], 4);
    v[1] = even1 + odd1;
    v[2] = even1 - odd1;
    v[3] = add_times(even2, odd2, 2);
    v[4] = add_times(even2, odd2, -2);
    v[5] = add_times(add_times(d[5], d[3], -5), d[1], 4);
  }
  template <class T>
  RCNN_ALWAYS_INLINE static void filter(const T (&g)[3], T (&u)[6]) {
    const T even1 = (g[0] + g[2]) * -4, even2 = add_times(g[0], g[2], 4);
    u[0] = g[0] * 6;
    u[1] = add_times(even1, g[1], -4);
    u[2] = add_times(even1, g[1], 4);
    u[3] = add_times(even2, g[1], 2);
    u[4] = add_times(even2, g[1], -2);
    u[5] = g[2] * 24;
  }
  template <class T>
  RCNN_ALWAYS_INLINE static void output(const T (&m)[6], T (&y)[4]) {
    const T sum1 = m[1] + m[2], difference1 = m[1] - m[2];
    const T sum2 = m[3] + m[4], difference2 = m[3] - m[4];
    y[0] = m[0] + sum1 + sum2;
    y[1] = add_times(difference1, difference2, 2);
    y[2] = add_times(sum1, sum2, 4);
    y[3] = add_times(difference1, difference2, 8) + m[5];
  }
  template <class T>
  RCNN_ALWAYS_INLINE static void output_gradient(const T (&y)[4], T (&m)[6]) {
    const T even1 = y[0] + y[2], odd1 = y[1] + y[3];
    const T even2 = add_times(y[0], y[2], 4), odd2 = add_times(y[1], y[3], 4);
    m[0] = y[0];
    m[1] = even1 + odd1;
    m[2] = even1 - odd1;
    m[3] = add_times(even2, odd2, 2);
    m[4] = add_times(even2, odd2, -2);
    m[5] = y[3];
  }
  template <class T>
  RCNN_ALWAYS_INLINE static void filter_gradient(const T (&u)[6], T (&g)[3]) {
    const T sum1 = (u[1] + u[2]) * -4, sum2 = u[3] + u[4];
    g[0] = add_times(sum1 + sum2, u[0], 6);
    g[1] = add_times((u[3] - u[4]) * 2, u[2] - u[1], 4);
    g[2] = add_times(add_times(sum1, sum2, 4), u[5], 24);
  }
};

/// Applies a one-dimensional transform to the columns and then to the rows of a square: M x M^T.
/// `transform(in, out)` takes arrays of kIn and kOut numbers.
template <class T, int kIn, int kOut, class Transform>
RCNN_ALWAYS_INLINE void transform_square(const T (&in)[kIn][kIn], T (&out)[kOut][kOut], Transform transform) {
  T half[kIn][kOut];  // [column][row]
#pragma GCC unroll 8
  for (int j = 0; j < kIn; ++j) {
    T column[kIn];
#pragma GCC unroll 8
    for (int i = 0; i < kIn; ++i) column[i] = in[i][j];
    transform(column, half[j]);
  }
#pragma GCC unroll 8
  for (int i = 0; i < kOut; ++i) {
    T row[kIn];
#pragma GCC unroll 8
    for (int j = 0; j < kIn; ++j) row[j] = half[j][i];
    transform(row, out[i]);
  }
}

/// V = B^T d B.
template <class F, class T>
RCNN_ALWAYS_INLINE void transform_input(const T (&d)[F::kPatch][F::kPatch], T (&v)[F::kPatch][F::kPatch]) {
  transform_square(
      d, v, [](const auto& in, auto& out) __attribute__((always_inline)) { F::input(in, out); });
}
/// U = G g G^T, times divisor^2.
template <class F, class T>
RCNN_ALWAYS_INLINE void transform_filter(const T (&g)[3][3], T (&u)[F::kPatch][F::kPatch]) {
  transform_square(
      g, u, [](const auto& in, auto& out) __attribute__((always_inline)) { F::filter(in, out); });
}
/// A^T M A, times divisor^2.
template <class F, class T>
RCNN_ALWAYS_INLINE void transform_output(const T (&m)[F::kPatch][F::kPatch], T (&y)[F::kTile][F::kTile]) {
  transform_square(
      m, y, [](const auto& in, auto& out) __attribute__((always_inline)) { F::output(in, out); });
}

/// The gradient of M from the gradient of y: A y A^T.
template <class F, class T>
RCNN_ALWAYS_INLINE void transform_output_gradient(const T (&y)[F::kTile][F::kTile],
                                                  T (&m)[F::kPatch][F::kPatch]) {
  transform_square(
      y, m, [](const auto& in, auto& out) __attribute__((always_inline)) { F::output_gradient(in, out); });
}
/// The gradient of g from the gradient of U: G^T U G, times divisor^2.
template <class F, class T>
RCNN_ALWAYS_INLINE void transform_filter_gradient(const T (&u)[F::kPatch][F::kPatch], T (&g)[3][3]) {
  transform_square(
      u, g, [](const auto& in, auto& out) __attribute__((always_inline)) { F::filter_gradient(in, out); });
}

}  // namespace rcnn::kernels
