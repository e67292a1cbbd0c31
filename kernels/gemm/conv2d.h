// Two-dimensional convolution with its epilogue, and its two gradients.
//
//     y = relu(scale[k] * conv(x, w) + bias[k] + residual)
//     conv(x, w)[n, i, j, k] = sum over r, s, c of
//         x[n, i stride + r dilation - pad, j stride + s dilation - pad, c] * w[k, r, s, c]
//
// x is zero outside the image. `scale` is a constant per channel (a frozen BatchNorm); `bias` and `residual`
// may need gradients. Both gradients take g, the gradient of the bare convolution, which
// kernels/gemm/epilogue.h computes as dz.
#pragma once

#include "core/host_device.h"
#include "kernels/gemm/packed_operand.h"
#include "kernels/gemm/weights_key.h"
#include "kernels/op.h"

namespace rcnn::kernels {

struct Conv2dShape {
  int64_t n = 0, h = 0, w = 0, c = 0;  // input (N, H, W, C)
  int64_t k = 0, r = 1, s = 1;         // filters (K, R, S, C)
  int64_t stride = 1, pad = 0, dilation = 1;

  RCNN_HOST_DEVICE int64_t oh() const { return (h + 2 * pad - dilation * (r - 1) - 1) / stride + 1; }
  RCNN_HOST_DEVICE int64_t ow() const { return (w + 2 * pad - dilation * (s - 1) - 1) / stride + 1; }
  /// The number of multiplications and additions in one pass.
  double flop() const {
    return 2.0 * static_cast<double>(n * oh() * ow() * k) * static_cast<double>(r * s * c);
  }
  auto operator<=>(const Conv2dShape&) const = default;
};

template <class T>
struct Conv2dArgs {
  Conv2dShape shape = {};
  const T* x = nullptr;         // (N, H, W, C)
  const T* w = nullptr;         // (K, R, S, C)
  const T* scale = nullptr;     // (K) or null
  const T* bias = nullptr;      // (K) or null
  const T* residual = nullptr;  // (N, OH, OW, K) or null; may be y
  bool relu = false;
  T* y = nullptr;  // (N, OH, OW, K)
  WeightsKey weights = {};
  // On a GPU: the packed forms. A variant that packs x leaves it here for the next, or finds it; that of y is
  // left if it is given. Null: not kept.
  PackedOperand* packed_x = nullptr;
  PackedOperand* packed_y = nullptr;
};

/// dx from g = dLoss / d conv(x, w).
///
/// Variants that read and write bf16 forms (reads_bf16_form) can apply to dx what the layer below would do
/// first with it: if that owes no gradient to a residual or a bias, its own g is scale[c] * dx where its
/// result x is positive (`mask`; everywhere without), else 0. It is left in packed_dx, and dx may be null.
template <class T>
struct Conv2dDxArgs {
  Conv2dShape shape = {};
  const T* g = nullptr;  // (N, OH, OW, K)
  const T* w = nullptr;  // (K, R, S, C)
  T* dx = nullptr;       // (N, H, W, C)
  Accumulate accumulate = Accumulate::no;
  WeightsKey weights = {};
  PackedOperand* packed_g = nullptr;  // with the form of g that the variant reads, g may be null
  const T* mask = nullptr;            // (N, H, W, C) or null
  const T* scale = nullptr;           // (C) or null
  PackedOperand* packed_dx = nullptr;
};

/// dw from g = dLoss / d conv(x, w).
template <class T>
struct Conv2dDwArgs {
  Conv2dShape shape = {};
  const T* x = nullptr;  // (N, H, W, C)
  const T* g = nullptr;  // (N, OH, OW, K)
  T* dw = nullptr;       // (K, R, S, C)
  Accumulate accumulate = Accumulate::no;
  PackedOperand* packed_x = nullptr;
  PackedOperand* packed_g = nullptr;  // with the form of g that the variant reads, g may be null
};

/// The shape alone: what a plan knows the calls by (kernels/plans.h).
std::string plan_shape(const Conv2dShape& shape);
inline std::string plan_shape(const Conv2dArgs<float>& a) { return plan_shape(a.shape); }
inline std::string plan_shape(const Conv2dDxArgs<float>& a) { return plan_shape(a.shape); }
inline std::string plan_shape(const Conv2dDwArgs<float>& a) { return plan_shape(a.shape); }

template <class T>
void conv2d_reference(const Stream&, Workspace&, const Conv2dArgs<T>& a);
template <class T>
void conv2d_dx_reference(const Stream&, Workspace&, const Conv2dDxArgs<T>& a);
template <class T>
void conv2d_dw_reference(const Stream&, Workspace&, const Conv2dDwArgs<T>& a);

// The CUDA variants, in the order to read them: one thread per output; operands shared by a block; a tile of
// outputs in the registers of each thread; tensor cores.
Run<Conv2dArgs<float>> conv2d_direct, conv2d_tiled, conv2d_implicit_gemm, conv2d_implicit_gemm_tf32,
    conv2d_implicit_gemm_bf16;
Run<Conv2dDxArgs<float>> conv2d_dx_direct, conv2d_dx_tiled, conv2d_dx_implicit_gemm,
    conv2d_dx_implicit_gemm_tf32, conv2d_dx_implicit_gemm_bf16;
Run<Conv2dDwArgs<float>> conv2d_dw_direct, conv2d_dw_tiled, conv2d_dw_implicit_gemm,
    conv2d_dw_implicit_gemm_tf32, conv2d_dw_implicit_gemm_bf16;

/// The largest height and width of a filter that forward and dx can take on tensor cores: they keep a bit for
/// each line and column of the filter.
inline constexpr int64_t kMaxFilter = 15;
template <class Args>
bool filter_fits(const Args& a) {
  return a.shape.r <= kMaxFilter && a.shape.s <= kMaxFilter;
}

/// For a g with few rows (one per pixel) that are not 0, as the loss of an RPN leaves it: gathers these rows.
Run<Conv2dDxArgs<float>> conv2d_dx_nonzero_rows;
Run<Conv2dDwArgs<float>> conv2d_dw_nonzero_rows;
/// Whether at most one in eight rows of g is not 0. Reads g.
template <class Args>
bool has_few_rows(const Args& a);

/// Winograd's method for 3 x 3 and stride 1, in tiles of 4 x 4 and 2 x 2 outputs: see docs/winograd.md.
Run<Conv2dArgs<float>> conv2d_winograd_f4, conv2d_winograd_f2;
Run<Conv2dDxArgs<float>> conv2d_dx_winograd_f4, conv2d_dx_winograd_f2;
Run<Conv2dDwArgs<float>> conv2d_dw_winograd_f4, conv2d_dw_winograd_f2;
/// Whether the method can be used: 3 x 3, stride 1, padding of at most 2, channels in multiples of 16; for dw
/// only where it sums over at least 128 products.
template <class Args>
bool winograd_can(const Args& a);
/// Whether tiles of 4 x 4 are faster than the library: with enough channels, and enough tiles in an image
/// (see docs/winograd.md). Always in builds without the library.
template <class Args>
bool winograd_f4_faster(const Args& a);

/// A product of matrices: packed filters times the rows of patches of x, which are gathered block by block.
/// See kernels/gemm/panel_conv.h.
Run<Conv2dArgs<float>> conv2d_panels;
Run<Conv2dDxArgs<float>> conv2d_dx_panels;
/// Filters of one pixel, with stride 1.
bool panels_can_dx(const Conv2dDxArgs<float>& a);
/// Whether that is faster than the library: for strided filters of several pixels, on processors with AVX2
/// but without AVX-512. Always in builds without the library.
bool panels_faster(const Conv2dArgs<float>& a);
/// Only in builds without the library.
bool panels_faster_dx(const Conv2dDxArgs<float>& a);

template <Precision P>
void conv2d_cudnn(const Stream&, Workspace&, const Conv2dArgs<float>& a);
template <Precision P>
void conv2d_dx_cudnn(const Stream&, Workspace&, const Conv2dDxArgs<float>& a);
template <Precision P>
void conv2d_dw_cudnn(const Stream&, Workspace&, const Conv2dDwArgs<float>& a);

Run<Conv2dArgs<float>> conv2d_onednn;
Run<Conv2dDxArgs<float>> conv2d_dx_onednn;
Run<Conv2dDwArgs<float>> conv2d_dw_onednn;

// clang-format off
//  name, backend, forward, dx, dw
inline constexpr RealTechnique<Conv2dArgs, Conv2dDxArgs, Conv2dDwArgs> conv2d_techniques[] = {
    {"implicit_gemm_bf16", on_cuda.with(Precision::bf16, 80), {conv2d_implicit_gemm_bf16, filter_fits},
     {conv2d_dx_implicit_gemm_bf16, filter_fits}, conv2d_dw_implicit_gemm_bf16},
    {"implicit_gemm_tf32", on_cuda.with(Precision::tf32, 80), {conv2d_implicit_gemm_tf32, filter_fits},
     {conv2d_dx_implicit_gemm_tf32, filter_fits}, conv2d_dw_implicit_gemm_tf32},
    {"implicit_gemm", on_cuda, conv2d_implicit_gemm, conv2d_dx_implicit_gemm, conv2d_dw_implicit_gemm},
    {"tiled", on_cuda, conv2d_tiled, conv2d_dx_tiled, conv2d_dw_tiled},
    {"direct", on_cuda, conv2d_direct, conv2d_dx_direct, conv2d_dw_direct},
    {"cudnn_tf32", on_cudnn.with(Precision::tf32, 80), conv2d_cudnn<Precision::tf32>,
     conv2d_dx_cudnn<Precision::tf32>, conv2d_dw_cudnn<Precision::tf32>},
    {"cudnn", on_cudnn, conv2d_cudnn<Precision::f32>,
     conv2d_dx_cudnn<Precision::f32>, conv2d_dw_cudnn<Precision::f32>},
    {"nonzero_rows", on_cpu, nullptr,
     {conv2d_dx_nonzero_rows, has_few_rows}, {conv2d_dw_nonzero_rows, has_few_rows}},
    {"winograd_f4", on_cpu, {conv2d_winograd_f4, winograd_can, winograd_f4_faster},
     {conv2d_dx_winograd_f4, winograd_can, winograd_f4_faster},
     {conv2d_dw_winograd_f4, winograd_can, winograd_f4_faster}},
    {"panels", on_cpu, {conv2d_panels, nullptr, panels_faster},
     {conv2d_dx_panels, panels_can_dx, panels_faster_dx}, nullptr},
    {"onednn", on_onednn, conv2d_onednn, conv2d_dx_onednn, conv2d_dw_onednn},
    {"winograd_f2", on_cpu, {conv2d_winograd_f2, winograd_can},
     {conv2d_dx_winograd_f2, winograd_can}, {conv2d_dw_winograd_f2, winograd_can}},
    {"reference", on_cpu,
     {conv2d_reference<float>, conv2d_reference<double>},
     {conv2d_dx_reference<float>, conv2d_dx_reference<double>},
     {conv2d_dw_reference<float>, conv2d_dw_reference<double>}},
};
// clang-format on
inline constexpr Op conv2d{"conv2d", "conv2d", column<0>(conv2d_techniques)};
inline constexpr Op conv2d_dx{"conv2d_dx", "conv2d", column<1>(conv2d_techniques)};
inline constexpr Op conv2d_dw{"conv2d_dw", "conv2d", column<2>(conv2d_techniques)};

}  // namespace rcnn::kernels
