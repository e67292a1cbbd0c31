// The innermost part of kernels/gemm/panel_conv.h, written once for all instruction sets. Include it as
// kernels/gemm/simd.h says.
#pragma once

#include <algorithm>

#include "kernels/gemm/panel_conv.h"
#include "kernels/gemm/register_tiles.h"
#include "kernels/gemm/simd.h"

namespace rcnn::kernels {
namespace {

template <class Isa>
struct PanelStages {
  using Vector = Floats<Isa>;
  using Tiles = RegisterTiles<Isa>;
  static constexpr int64_t kLanes = Vector::kLanes, kPanel = Tiles::kPanel;
  /// A part of a panel that is multiplied at once has at most this many rows, so that it stays in the L1
  /// cache.
  static constexpr int64_t kDepth = 256;

  /// Columns of the panel from k on.
  static int64_t width_at(int64_t filters, int64_t k) {
    return std::min(kPanel, (filters - k + kPanelGroup - 1) / kPanelGroup * kPanelGroup);
  }

  static void pack(const PanelFilters& f, int64_t k) {
    const int64_t width = width_at(f.k, k), columns = std::min(width, f.k - k);
    float* to = f.packed + k * f.depth;
    for (int64_t j = 0; j < width; ++j)
      for (int64_t d = 0; d < f.depth; ++d)
        to[d * width + j] = j < columns ? f.w[(k + j) * f.k_stride + d * f.depth_stride] : 0.0F;
  }

  static void multiply(const PanelConv& conv, const PatchRows& patches, int64_t k) {
    const int64_t depth = conv.depth(), width = width_at(conv.shape.k, k);
    const float* panel = conv.filters + k * depth;
    float sums[kMaxPatchRows * kPanel];
    for (int64_t d = 0; d < depth; d += kDepth)
      Tiles::multiply_rows(patches.rows, width == kPanel, {patches.data + d, patches.stride, 1},
                           panel + d * width, std::min(kDepth, depth - d), d == 0, sums, kPanel);
    for (int64_t j = 0; j < width && k + j < conv.shape.k; j += kLanes)
      finish(conv, patches, k + j, sums + j);
  }

  /// The epilogue of one register of channels, from `k` on: epilogue_value of kernels/gemm/epilogue_math.h.
  static void finish(const PanelConv& conv, const PatchRows& patches, int64_t k, const float* sums) {
    const int64_t channels = std::min(kLanes, conv.shape.k - k);
    const Vector scale = conv.scale ? load_some(conv.scale + k, channels) : Vector::fill(1);
    const Vector bias = conv.bias ? load_some(conv.bias + k, channels) : Vector::fill(0);
    for (int64_t i = 0; i < patches.rows; ++i) {
      const int64_t at = (patches.first + i) * conv.shape.k + k;
      Vector value = Vector::load(sums + i * kPanel) * scale + bias;
      if (conv.residual) value = value + load_some(conv.residual + at, channels);
      if (conv.relu) value = relu(value);
      store_some(value, conv.y + at, channels);
    }
  }

  static Vector load_some(const float* from, int64_t count) {
    if (count == kLanes) return Vector::load(from);
    float values[kLanes] = {};
    for (int64_t i = 0; i < count; ++i) values[i] = from[i];
    return Vector::load(values);
  }
  static void store_some(Vector value, float* to, int64_t count) {
    if (count == kLanes) return value.store(to);
    float values[kLanes];
    value.store(values);
    for (int64_t i = 0; i < count; ++i) to[i] = values[i];
  }

  static constexpr PanelKernels table(const char* instruction_set) {
    return {instruction_set, Isa::kTileRows, kPanel, pack, multiply};
  }
};

}  // namespace
}  // namespace rcnn::kernels
