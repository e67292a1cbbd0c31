// Winograd's convolution on the CPU: what its stages work on. docs/winograd.md explains the method.
//
// The output is cut into tiles of m x m pixels, and the tiles into blocks. A block goes through three stages,
// with P = (m + 2)^2 positions of the transformed patch:
//
//     input     V[p] (tiles, C) = B^T d B of each tile's patch d, channel by channel
//     multiply  M[p] (tiles, K) = V[p] (tiles, C) times U[p] (C, K), P independent products of matrices
//     output    y = A^T M A / divisor^2, and the epilogue
//
// U holds the transformed filters, which are packed once for given weights.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/gemm/conv2d.h"

namespace rcnn::kernels {

/// Channels come in groups of this size: the widest register holds so many floats.
inline constexpr int64_t kWinogradChannels = 16;

/// The slices of V, M and U, one for each position, lie this many floats apart. A slice is often a multiple
/// of 4096 bytes, and then the same element of all slices would compete for one set of the cache.
constexpr int64_t winograd_slice(int64_t floats) { return floats + kWinogradChannels; }

/// The filters of a convolution with `c` input and `k` output channels, and where they lie: element (k, r, s,
/// c) at w[k * k_stride + (3 * r + s) * tap_stride + c * c_stride].
struct WinogradFilters {
  int64_t k = 0, c = 0;
  const float* w = nullptr;
  int64_t k_stride = 0, c_stride = 0, tap_stride = 0;
  bool turned = false;  // by 180 degrees: tap (r, s) is read at (2 - r, 2 - s)
  float* packed = nullptr;
};

/// A 3 x 3 convolution of stride 1.
struct WinogradConv {
  Conv2dShape shape;
  const float* filters = nullptr;  // packed
  const float* x = nullptr;
  const float* scale = nullptr;  // the epilogue of Conv2dArgs
  const float* bias = nullptr;
  const float* residual = nullptr;
  bool relu = false;
  float* y = nullptr;

  int64_t tile_rows = 0, tile_columns = 0;  // tiles of one image
  const float* zeros = nullptr;             // C zeros: a pixel outside the image
};

/// Tiles [first, first + count) and their transforms.
struct WinogradBlock {
  int64_t first = 0, count = 0;
  float* v = nullptr;
  float* m = nullptr;
  bool grouped = false;  // the layout of V that `sum_gradient` reads
  bool starts = true;    // `sum_gradient` starts the sums, otherwise it goes on
};

/// The stages for tiles of one size, compiled for one instruction set. Each output is computed in one order,
/// whatever the block and the range of a call.
struct WinogradKernels {
  const char* instruction_set;
  int tile, patch;         // m and m + 2
  int64_t block_multiple;  // blocks of such a number of tiles fill the registers
  int64_t panel;           // output channels of one part of `multiply`

  /// U for the output channels [k, k + kWinogradChannels).
  void (*pack)(const WinogradFilters& filters, int64_t k);
  /// V for the tiles [begin, end), counted within the block.
  void (*input)(const WinogradConv& conv, const WinogradBlock& block, int64_t begin, int64_t end);
  /// M at position p for the output channels [k, k + panel); k is a multiple of `panel`.
  void (*multiply)(const WinogradConv& conv, const WinogradBlock& block, int64_t p, int64_t k);
  /// y for the tiles [begin, end), counted within the block.
  void (*output)(const WinogradConv& conv, const WinogradBlock& block, int64_t begin, int64_t end);

  // dw, whose blocks are grouped. With g, the gradient of the convolution, in place of y:
  /// dM into block.m for the tiles [begin, end), counted within the block.
  void (*gradient)(const WinogradConv& conv, const float* g, const WinogradBlock& block, int64_t begin,
                   int64_t end);
  /// dU[p] (C, K), for the output channels [k, k + panel): the sum over tiles of V[p] dM[p], packed as U is.
  void (*sum_gradient)(const Conv2dShape& shape, const WinogradBlock& block, int64_t p, int64_t k, float* du);
  /// dw for the output channels [k, k + kWinogradChannels).
  void (*unpack)(const Conv2dShape& shape, const float* du, int64_t k, float* dw, Accumulate accumulate);
};

/// The stages for each instruction set that this processor has, the best one first. `tile` is 2 or 4.
std::span<const WinogradKernels* const> winograd_kernels(int tile);

extern const WinogradKernels winograd_f2_baseline, winograd_f4_baseline, winograd_f2_avx2, winograd_f4_avx2,
    winograd_f2_avx512, winograd_f4_avx512;

void conv2d_winograd(const WinogradKernels& kernels, Workspace& workspace, const Conv2dArgs<float>& a);
void conv2d_dx_winograd(const WinogradKernels& kernels, Workspace& workspace, const Conv2dDxArgs<float>& a);
void conv2d_dw_winograd(const WinogradKernels& kernels, Workspace& workspace, const Conv2dDwArgs<float>& a);

}  // namespace rcnn::kernels
