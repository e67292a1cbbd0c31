#pragma once

#include "kernels/cases.h"
#include "kernels/gemm/conv2d.h"

namespace rcnn::kernels {

struct Conv2dCase {
  Conv2dShape shape;
  bool scale = false, bias = false, residual = false, relu = false;
  // One in g_every rows of g (one row per pixel) is not 0; 0: all rows are 0.
  int64_t g_every = 1;
};

/// Keeps every g_every-th row of g (rows, K) and sets the others to 0.
template <class T>
void thin_out(const Conv2dCase& c, const Tensor& g) {
  for (int64_t i = 0; i < g.numel(); ++i)
    if (c.g_every == 0 || i / c.shape.k % c.g_every != c.g_every - 1) g.mutable_data<T>()[i] = 0;
}

inline std::vector<Conv2dCase> conv2d_cases() {
  // {n, h, w, c, k, r, s, stride, pad, dilation}, scale, bias, residual, relu, g_every
  return {
      {{1, 5, 7, 3, 4, 3, 3, 1, 1, 1}},
      {{2, 8, 6, 16, 32, 3, 3, 2, 1, 1}, false, true, false, true},
      {{1, 13, 11, 5, 7, 3, 3, 2, 1, 1}, true, true, true, true},  // odd sizes, prime channels
      {{2, 9, 9, 16, 16, 1, 1, 1, 0, 1}, false, true},
      {{2, 9, 7, 17, 19, 1, 1, 2, 0, 1}, true, true, false, false},  // a shortcut that skips pixels
      {{1, 16, 19, 3, 8, 7, 7, 2, 3, 1}, true, true, false, true},   // a ResNet stem
      {{1, 10, 12, 8, 8, 3, 3, 1, 2, 2}, false, false, true, true},  // dilated
      {{1, 6, 6, 4, 4, 2, 3, 1, 1, 1}, false, false, true},          // a filter that is not square
      {{1, 1, 1, 64, 24, 3, 3, 1, 1, 1}, false, true},               // padding on every side
      {{3, 5, 5, 32, 64, 3, 3, 1, 1, 1}, false, false, false, true},
      {{0, 5, 5, 4, 4, 3, 3, 1, 1, 1}, false, true, false, true},  // no images
      // Edge cases of the CUDA variants: more than one tile of 128 rows or columns, sums that are split into
      // parts (long ones for few outputs), strides for which some phases of dx have no taps or no rows.
      {{1, 12, 11, 12, 132, 1, 1, 1, 0, 1}, true, true, true, true},
      {{1, 6, 11, 16, 68, 3, 3, 1, 1, 1}, true, true, true, true},
      {{1, 10, 13, 8, 68, 3, 3, 1, 1, 1}, false, true, false, true},
      {{1, 12, 12, 3, 67, 2, 2, 1, 0, 1}, true, true, true, true},
      {{1, 11, 13, 4, 8, 3, 3, 2, 2, 2}, false, true},
      {{1, 10, 11, 4, 4, 3, 3, 3, 1, 2}},
      {{1, 7, 8, 4, 4, 2, 2, 3, 0, 1}},
      {{1, 2, 2, 4, 4, 1, 1, 3, 0, 1}},
      // Gradients with few rows that are not 0, some of them at corners.
      {{2, 9, 11, 8, 12, 3, 3, 1, 1, 1}, false, false, false, false, 9},
      {{3, 12, 13, 5, 7, 3, 3, 2, 1, 1}, false, false, false, false, 42},
      {{1, 40, 40, 3, 5, 3, 2, 1, 2, 2}, false, false, false, false, 11},
      {{2, 30, 31, 16, 3, 1, 1, 1, 0, 1}, false, false, false, false, 10},
      {{2, 5, 7, 6, 4, 3, 3, 1, 1, 1}, false, false, false, false, 0},
      // Winograd's tiles, whole and cut off, and a last panel of 16 of 48 channels.
      {{1, 29, 26, 32, 48, 3, 3, 1, 1, 1}, true, true, true, true},
      // The longest filters that have a bit for each line and column, and one with a line too many.
      {{1, 9, 17, 3, 4, 15, 2, 1, 7, 1}, false, true},
      {{1, 7, 18, 4, 4, 2, 15, 2, 7, 1}, false, true},
      {{1, 18, 5, 4, 4, 16, 2, 1, 3, 1}, false, true},
  };
}

/// nano-fpn at 4 x 240 x 320, then the convolutions that make up most of R50-FPN at 800 x 1344 and of VGG16
/// at 600 x 1000.
inline std::vector<Conv2dCase> conv2d_gradient_bench_cases() {
  return {
      {{4, 240, 320, 3, 16, 3, 3, 2, 1, 1}},
      {{4, 120, 160, 16, 32, 3, 3, 2, 1, 1}},
      {{4, 60, 80, 32, 32, 3, 3, 1, 1, 1}},
      {{4, 30, 40, 64, 64, 3, 3, 1, 1, 1}},
      {{4, 15, 20, 128, 128, 3, 3, 1, 1, 1}},
      {{1, 800, 1344, 3, 64, 7, 7, 2, 3, 1}},
      {{1, 200, 336, 256, 256, 3, 3, 1, 1, 1}},
      {{1, 100, 168, 256, 256, 3, 3, 1, 1, 1}},
      {{1, 50, 84, 256, 256, 3, 3, 1, 1, 1}},
      {{1, 200, 336, 64, 64, 3, 3, 1, 1, 1}},
      {{1, 100, 168, 128, 128, 3, 3, 1, 1, 1}},
      {{1, 50, 84, 256, 1024, 1, 1, 1, 0, 1}},
      {{1, 50, 84, 1024, 256, 1, 1, 1, 0, 1}},
      {{1, 25, 42, 512, 512, 3, 3, 1, 1, 1}},
      {{1, 200, 336, 64, 256, 1, 1, 1, 0, 1}},
      {{1, 100, 168, 128, 512, 1, 1, 1, 0, 1}},
      {{1, 200, 336, 256, 256, 1, 1, 1, 0, 1}},
      {{1, 200, 336, 128, 128, 3, 3, 2, 1, 1}},
      {{1, 100, 168, 256, 256, 3, 3, 2, 1, 1}},
      {{1, 50, 84, 512, 512, 3, 3, 2, 1, 1}},
      {{1, 600, 1000, 64, 64, 3, 3, 1, 1, 1}},
      {{1, 300, 500, 128, 128, 3, 3, 1, 1, 1}},
      {{1, 150, 250, 256, 256, 3, 3, 1, 1, 1}},
      {{1, 75, 125, 512, 512, 3, 3, 1, 1, 1}},
      {{1, 37, 62, 512, 512, 3, 3, 1, 1, 1}},
      // The RPN's convolution on the finest level of resnet18-fpn at 2 x 320 x 320.
      {{2, 80, 80, 256, 256, 3, 3, 1, 1, 1}, false, false, false, false, 33},
  };
}

/// Each of them bare and with an epilogue: scale, bias and ReLU, and the shortcut added if a residual block
/// ends in such a convolution.
inline std::vector<Conv2dCase> conv2d_bench_cases() {
  std::vector<Conv2dCase> cases;
  for (const Conv2dCase& bare : conv2d_gradient_bench_cases()) {
    cases.push_back(bare);
    cases.push_back({bare.shape, true, true, bare.shape.k > bare.shape.c && bare.shape.r == 1, true});
  }
  return cases;
}

RCNN_CASE_FIELDS(Conv2dShape, n, h, w, c, k, r, s, stride, pad, dilation)
RCNN_CASE_FIELDS(Conv2dCase, shape, scale, bias, residual, relu, g_every)

template <class T>
Conv2dCase case_of(const Conv2dArgs<T>& a, ArgumentReader&) {
  return {a.shape, a.scale != nullptr, a.bias != nullptr, a.residual != nullptr, a.relu};
}

/// The case of a gradient. The share of rows of g that are not 0 is rounded down to a power of two, so that
/// the steps of a training have few different cases. A g that exists in packed form alone counts as dense.
template <class T>
Conv2dCase gradient_case_of(const Conv2dShape& s, const T* g, ArgumentReader& reader) {
  if (!g) return {s};
  const int64_t rows = s.n * s.oh() * s.ow();
  const std::span<const T> values = reader.read(g, rows * s.k);
  int64_t other = 0;
  for (int64_t row = 0; row < rows; ++row)
    other += std::any_of(values.begin() + row * s.k, values.begin() + (row + 1) * s.k,
                         [](T value) { return value != 0; });
  Conv2dCase c{s};
  if (other == 0) c.g_every = 0;
  while (other > 0 && 2 * c.g_every * other <= rows) c.g_every *= 2;
  return c;
}
template <class T>
Conv2dCase case_of(const Conv2dDxArgs<T>& a, ArgumentReader& reader) {
  return gradient_case_of(a.shape, a.g, reader);
}
template <class T>
Conv2dCase case_of(const Conv2dDwArgs<T>& a, ArgumentReader& reader) {
  return gradient_case_of(a.shape, a.g, reader);
}

/// When outputs are added to, the residual lies in y.
template <class T>
Prepared<Conv2dArgs<T>> prepare_conv2d(const Conv2dCase& c, Filler fill) {
  Prepared<Conv2dArgs<T>> p;
  const Conv2dShape& s = c.shape;
  const Shape out{s.n, s.oh(), s.ow(), s.k};
  const auto optional = [&](bool wanted, const Shape& shape) -> const T* {
    return wanted ? fill.numbers<T>(p.inputs, shape).template data<T>() : nullptr;
  };
  p.args.shape = s;
  p.args.x = fill.numbers<T>(p.inputs, {s.n, s.h, s.w, s.c}).template data<T>();
  p.args.w = fill.numbers<T>(p.inputs, {s.k, s.r, s.s, s.c}).template data<T>();
  p.args.scale = optional(c.scale, {s.k});
  p.args.bias = optional(c.bias, {s.k});
  p.args.relu = c.relu;
  if (c.residual && fill.accumulate() == Accumulate::yes) {
    p.args.y = fill.numbers<T>(p.outputs, out).template mutable_data<T>();
    p.args.residual = p.args.y;
  } else {
    p.args.residual = optional(c.residual, out);
    p.args.y = fill.poisoned<T>(p.outputs, out).template mutable_data<T>();
  }
  p.match = Match::sum;
  p.terms = s.r * s.s * s.c;
  p.flop = s.flop();
  return p;
}

template <class T>
Prepared<Conv2dDxArgs<T>> prepare_conv2d_dx(const Conv2dCase& c, Filler fill) {
  Prepared<Conv2dDxArgs<T>> p;
  const Conv2dShape& s = c.shape;
  p.args.shape = s;
  p.args.g = fill.numbers<T>(p.inputs, {s.n, s.oh(), s.ow(), s.k}).template data<T>();
  thin_out<T>(c, p.inputs.back());
  p.args.w = fill.numbers<T>(p.inputs, {s.k, s.r, s.s, s.c}).template data<T>();
  p.args.dx = fill.output<T>(p.outputs, {s.n, s.h, s.w, s.c}).template mutable_data<T>();
  p.args.accumulate = fill.accumulate();
  p.match = Match::sum;
  p.terms = s.r * s.s * s.k;
  p.flop = s.flop();
  return p;
}

template <class T>
Prepared<Conv2dDwArgs<T>> prepare_conv2d_dw(const Conv2dCase& c, Filler fill) {
  Prepared<Conv2dDwArgs<T>> p;
  const Conv2dShape& s = c.shape;
  p.args.shape = s;
  p.args.x = fill.numbers<T>(p.inputs, {s.n, s.h, s.w, s.c}).template data<T>();
  p.args.g = fill.numbers<T>(p.inputs, {s.n, s.oh(), s.ow(), s.k}).template data<T>();
  thin_out<T>(c, p.inputs.back());
  p.args.dw = fill.output<T>(p.outputs, {s.k, s.r, s.s, s.c}).template mutable_data<T>();
  p.args.accumulate = fill.accumulate();
  p.match = Match::sum;
  p.terms = s.n * s.oh() * s.ow();
  p.flop = s.flop();
  return p;
}

RCNN_OP_CASES(conv2d, conv2d_cases, conv2d_bench_cases, prepare_conv2d<T>)
RCNN_OP_CASES(conv2d_dx, conv2d_cases, conv2d_gradient_bench_cases, prepare_conv2d_dx<T>)
RCNN_OP_CASES(conv2d_dw, conv2d_cases, conv2d_gradient_bench_cases, prepare_conv2d_dw<T>)

}  // namespace rcnn::kernels
