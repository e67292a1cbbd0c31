// Convolution on the CPU as a product of matrices (implicit GEMM): what its innermost part works on.
//
//     y (P, K) = patches (P, D) times filters (D, K), with P = N OH OW pixels of the output and D = R S C
//
// The matrix of patches never lies in memory as a whole: a block of its rows, which stays in the L2 cache, is
// gathered from x and multiplied with all filters. The filters lie in panels of a few columns, as the
// registers take them, and are packed once for given weights. Where a filter has one pixel, the block is part
// of x itself.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/gemm/conv2d.h"

namespace rcnn::kernels {

/// The last panel is filled up with zeros to a multiple of so many columns.
inline constexpr int64_t kPanelGroup = 16;

/// The filters of a convolution with `k` output channels: element (k, d) lies at w[k * k_stride + d *
/// depth_stride].
struct PanelFilters {
  int64_t k = 0, depth = 0;
  const float* w = nullptr;
  int64_t k_stride = 0, depth_stride = 0;
  float* packed = nullptr;

  int64_t packed_size() const { return (k + kPanelGroup - 1) / kPanelGroup * kPanelGroup * depth; }
};

struct PanelConv {
  Conv2dShape shape;
  const float* filters = nullptr;  // packed
  const float* x = nullptr;
  const float* scale = nullptr;  // the epilogue of Conv2dArgs
  const float* bias = nullptr;
  const float* residual = nullptr;
  bool relu = false;
  float* y = nullptr;

  int64_t depth() const { return shape.r * shape.s * shape.c; }
};

/// `rows` rows of the matrix of patches, from row `first` on, `stride` floats apart.
struct PatchRows {
  int64_t first = 0, rows = 0;
  const float* data = nullptr;
  int64_t stride = 0;
};

/// Compiled for one instruction set. Each output is computed in one order, whatever the block.
struct PanelKernels {
  const char* instruction_set;
  int64_t tile_rows;  // blocks of a multiple of so many rows fill the registers
  int64_t panel;      // columns of a panel

  /// Packs the filters [k, k + panel); k is a multiple of `panel`.
  void (*pack)(const PanelFilters& filters, int64_t k);
  /// y in these rows for the channels [k, k + panel), with the epilogue; at most kMaxPatchRows rows.
  void (*multiply)(const PanelConv& conv, const PatchRows& patches, int64_t k);
};
inline constexpr int64_t kMaxPatchRows = 144;

/// For each instruction set that this processor has, the best one first.
std::span<const PanelKernels* const> panel_kernels();

extern const PanelKernels panels_baseline, panels_avx2, panels_avx512;

void conv2d_panels(const PanelKernels& kernels, Workspace& workspace, const Conv2dArgs<float>& a);
void conv2d_dx_panels(const PanelKernels& kernels, Workspace& workspace, const Conv2dDxArgs<float>& a);

}  // namespace rcnn::kernels
