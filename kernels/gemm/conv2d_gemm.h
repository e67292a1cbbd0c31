// Convolution as a matrix product: where the elements of the implicit matrices lie in memory.
//
// All three passes read one implicit matrix of patches (im2col, never stored). Its rows are positions, its
// columns are (tap, channel), with the channel running fastest. An element is one channel of a pixel, or 0
// outside the image.
//
//             product                                    rows of the output   reduction
//     forward Y (N OH OW, K)  = P(x) * W^T               positions            (tap, c)
//     dx      DX (N H W, C)   = P(g) * W'                positions            (tap, k)
//     dw      DW (K, R S C)   = G^T * P(x)               k                    positions
//
// W is (K, R S C) as it lies in memory, and G is (N OH OW, K). W' has one row per (tap, k): the C channels of
// filter k at that tap. For dx, an input pixel y meets output row i through filter row r if y = i stride + r
// dilation - pad, so only if stride divides y + pad - r dilation. The pixels are therefore sorted into
// stride^2 phases (y mod stride, x mod stride): within one phase all pixels meet the same filter taps, at
// output rows that are linear in y and r. Each phase is a matrix of patches of g like that of a forward pass
// with stride 1, and no zeros between strides are multiplied.
#pragma once

#include "core/error.h"
#include "kernels/gemm/conv2d.h"
#include "kernels/gemm/gemm_output.h"

namespace rcnn::kernels {

/// The sizes of a convolution as int, the type that the kernels calculate with: GPUs divide 32-bit numbers
/// several times faster than 64-bit ones.
struct ConvDims {
  int n = 0, h = 0, w = 0, c = 0;
  int k = 0, r = 1, s = 1;
  int stride = 1, pad = 0, dilation = 1;
  int oh = 0, ow = 0;
};

/// The sizes as int. Throws Error unless every offset that the functions below compute from them
/// fits in an int.
inline ConvDims conv_dims(const Conv2dShape& p) {
  constexpr int64_t limit = int64_t{1} << 31;
  const int64_t margin_h = 2 * p.pad + p.dilation * p.r, margin_w = 2 * p.pad + p.dilation * p.s;
  const int64_t x = p.n * (p.h + margin_h) * (p.w + margin_w) * p.c;
  const int64_t g = p.n * (p.oh() + margin_h) * (p.ow() + margin_w) * p.k, w = p.k * p.r * p.s * p.c;
  check(
      std::max({x, g, w}) < limit,
      "a convolution of ({}, {}, {}, {}) with {} filters on CUDA: a tensor with its padding has {} elements, "
      "but must have fewer than 2^31",
      p.n, p.h, p.w, p.c, p.k, std::max({x, g, w}));
  const auto fits = [](int64_t size) { return static_cast<int>(size); };
  return {.n = fits(p.n),
          .h = fits(p.h),
          .w = fits(p.w),
          .c = fits(p.c),
          .k = fits(p.k),
          .r = fits(p.r),
          .s = fits(p.s),
          .stride = fits(p.stride),
          .pad = fits(p.pad),
          .dilation = fits(p.dilation),
          .oh = fits(p.oh()),
          .ow = fits(p.ow())};
}

/// A row of the matrix of patches, which is a position: the pixel of its tap (0, 0), which may be outside the
/// image, and the offset of channel 0 of that pixel.
struct PatchRow {
  int y, x, offset;
};

/// A column, which is a tap and a channel: what it adds to a PatchRow.
struct PatchTap {
  int y, x, offset;
};

/// a / b for numbers that are not negative: unsigned division is cheaper.
RCNN_HOST_DEVICE inline int quotient(int a, int b) {
  return static_cast<int>(static_cast<unsigned>(a) / static_cast<unsigned>(b));
}

/// A matrix of patches of an image (n, h, w, channels). Indices are int: see conv_dims.
struct Patches {
  int n, h, w, channels;
  int rows_h, rows_w;  // positions per image
  int stride;          // pixels from one position to the next
  int y0, x0;          // pixel of position (0, 0), tap (0, 0)
  int taps_h, taps_w;
  int tap_step;  // pixels from one tap to the next; negative for dx
  // In dx, tap (i, j) is the filter's tap (r0 + i filter_step, s0 + j filter_step), and position (i, j)
  // belongs to the output's pixel (out_y0 + i out_step, out_x0 + j out_step) of (out_h, out_w). In a forward
  // pass the starts are 0 and the steps 1.
  int filter_r, filter_s, r0, s0, filter_step;
  int out_h, out_w, out_y0, out_x0, out_step;

  /// So far outside the image that no tap or row leads back into it.
  static constexpr int kOutside = -(1 << 29);

  RCNN_HOST_DEVICE int rows() const { return n * rows_h * rows_w; }
  /// Columns of the matrix; 0 for a phase of dx that no filter tap reaches.
  RCNN_HOST_DEVICE int depth() const { return taps_h * taps_w * channels; }

  /// Row `index`, or a row outside the image if `index` is beyond the last. Costs two divisions.
  RCNN_HOST_DEVICE PatchRow row(int index) const {
    if (index >= rows()) return {kOutside, kOutside, 0};
    const int line = quotient(index, rows_w), image = quotient(line, rows_h);
    const int y = (line - image * rows_h) * stride + y0, x = (index - line * rows_w) * stride + x0;
    return {y, x, ((image * h + y) * w + x) * channels};
  }

  /// Column `index`, or a column outside the image if `index` is beyond the last. Neighbouring indices within
  /// one tap are neighbours in memory: with channels % 4 == 0 and index % 4 == 0, four of them are an aligned
  /// float4. Costs two divisions.
  RCNN_HOST_DEVICE PatchTap tap(int index) const {
    if (index >= depth()) return {kOutside, kOutside, 0};
    const int tap = quotient(index, channels), i = quotient(tap, taps_w);
    const int y = i * tap_step, x = (tap - i * taps_w) * tap_step;
    return {y, x, (y * w + x) * channels + index - tap * channels};
  }

  /// Whether the element is in the image, at `image + row.offset + tap.offset`; otherwise it is 0.
  RCNN_HOST_DEVICE bool inside(const PatchRow& row, const PatchTap& tap) const {
    return static_cast<unsigned>(row.y + tap.y) < static_cast<unsigned>(h) &&
           static_cast<unsigned>(row.x + tap.x) < static_cast<unsigned>(w);
  }

  /// The row of the output, (N OH OW) in a forward pass and (N H W) in dx, that position `index`
  /// is written to.
  RCNN_HOST_DEVICE int output_row(int index) const {
    if (out_step == 1) return index;
    const int line = quotient(index, rows_w), image = quotient(line, rows_h);
    const int y = (line - image * rows_h) * out_step + out_y0,
              x = (index - line * rows_w) * out_step + out_x0;
    return (image * out_h + y) * out_w + x;
  }

  /// In dx: the offset in w of channel 0 of the filter vector (k, r, s, 0 .. c) that column `index` = (tap,
  /// k) multiplies. `c` is the filter's number of channels. Requires index < depth().
  RCNN_HOST_DEVICE int filter_offset(int index, int c) const {
    const int tap = quotient(index, channels), i = quotient(tap, taps_w);
    const int k = index - tap * channels, r = r0 + i * filter_step, s = s0 + (tap - i * taps_w) * filter_step;
    return ((k * filter_r + r) * filter_s + s) * c;
  }
};

/// The patches of x: rows are output positions, columns (r, s, c). For the forward pass and for dw.
RCNN_HOST_DEVICE inline Patches patches_of_x(const ConvDims& p) {
  Patches a{};
  a.n = p.n, a.h = p.h, a.w = p.w, a.channels = p.c;
  a.rows_h = a.out_h = p.oh, a.rows_w = a.out_w = p.ow;
  a.stride = p.stride;
  a.y0 = a.x0 = -p.pad;
  a.taps_h = a.filter_r = p.r, a.taps_w = a.filter_s = p.s;
  a.tap_step = p.dilation;
  a.filter_step = a.out_step = 1;
  return a;
}

/// The taps of a filter line, out of `count`, that reach the pixels y of one phase.
struct PhaseTaps {
  int first, taps, step;  // filter taps first, first + step, ...; none if taps is 0
  int start;              // output position that pixel y = phase meets through the first tap
};

RCNN_HOST_DEVICE inline PhaseTaps taps_of_phase(int phase, int count, int stride, int pad, int dilation) {
  int divisor = stride;  // the greatest common divisor of stride and dilation
  while (dilation % divisor != 0 || stride % divisor != 0) --divisor;
  PhaseTaps t{0, 0, stride / divisor, 0};
  while (t.first < t.step && (phase + pad - t.first * dilation) % stride != 0) ++t.first;
  if (t.first == t.step || t.first >= count) return t;
  t.taps = (count - 1 - t.first) / t.step + 1;
  t.start = (phase + pad - t.first * dilation) / stride;
  return t;
}

/// The number of phases in which dx is computed. Phase 0 has the most rows.
RCNN_HOST_DEVICE inline int dx_phases(const ConvDims& p) { return p.stride * p.stride; }

/// The patches of g for one phase of dx: rows are input pixels (y, x) with y mod stride = phase / stride and
/// x mod stride = phase % stride, columns (tap, k).
RCNN_HOST_DEVICE inline Patches patches_of_g(const ConvDims& p, int phase) {
  const int py = phase / p.stride, px = phase % p.stride;
  Patches a{};
  a.n = p.n, a.h = p.oh, a.w = p.ow, a.channels = p.k;
  a.rows_h = (p.h - py + p.stride - 1) / p.stride;  // 0 where h <= py
  a.rows_w = (p.w - px + p.stride - 1) / p.stride;
  a.filter_r = p.r, a.filter_s = p.s;
  const PhaseTaps vertical = taps_of_phase(py, p.r, p.stride, p.pad, p.dilation);
  const PhaseTaps horizontal = taps_of_phase(px, p.s, p.stride, p.pad, p.dilation);
  a.stride = 1;
  a.y0 = vertical.start, a.x0 = horizontal.start;
  a.taps_h = vertical.taps, a.taps_w = horizontal.taps;
  a.filter_step = vertical.step;
  a.tap_step = -vertical.step * p.dilation / p.stride;
  a.r0 = vertical.first, a.s0 = horizontal.first;
  a.out_h = p.h, a.out_w = p.w, a.out_y0 = py, a.out_x0 = px, a.out_step = p.stride;
  return a;
}

/// The output of a forward pass with its epilogue.
inline GemmOutput output_of(const ConvDims& p, const Conv2dArgs<float>& a) {
  return GemmOutput{
      .out = a.y, .columns = p.k, .scale = a.scale, .bias = a.bias, .residual = a.residual, .relu = a.relu}
      .with_vectors();
}
/// dx: (N H W, C).
inline GemmOutput output_of(const ConvDims& p, const Conv2dDxArgs<float>& a) {
  return GemmOutput{.out = a.dx, .columns = p.c, .scale = a.scale, .accumulate = a.accumulate}.with_vectors();
}
/// dw: (K, R S C).
inline GemmOutput output_of(const ConvDims& p, const Conv2dDwArgs<float>& a) {
  return GemmOutput{.out = a.dw, .columns = p.r * p.s * p.c, .accumulate = a.accumulate}.with_vectors();
}

}  // namespace rcnn::kernels
