// The stages of Winograd's convolution (kernels/gemm/winograd.h), written once for all instruction sets.
//
// simd_avx512.cpp, simd_avx2.cpp and simd_baseline.cpp include this header, each compiled for its
// own instruction set, and give the stages as a table of functions.
#pragma once

#include <algorithm>
#include <array>
#include <utility>

#include "kernels/gemm/register_tiles.h"
#include "kernels/gemm/simd.h"
#include "kernels/gemm/winograd.h"
#include "kernels/gemm/winograd_math.h"

namespace rcnn::kernels {
namespace {

/// Where a tile lies.
struct WinogradTile {
  int64_t image, row, column;  // of its first output

  RCNN_ALWAYS_INLINE WinogradTile(const WinogradConv& conv, int64_t index, int64_t size)
      : image(index / (conv.tile_rows * conv.tile_columns)),
        row(index / conv.tile_columns % conv.tile_rows * size),
        column(index % conv.tile_columns * size) {}
};

template <class Isa, class F>
struct WinogradStages {
  using Vector = Floats<Isa>;
  static constexpr int64_t kLanes = Vector::kLanes;
  static constexpr int kPositions = F::kPatch * F::kPatch;
  static constexpr int64_t kPanel = RegisterTiles<Isa>::kPanel;
  static constexpr int64_t kGroup = kWinogradChannels;
  /// A panel of U that is multiplied at once has at most this many rows, so that it stays in the L1 cache.
  static constexpr int64_t kDepth = 256;

  /// U[p] consists of panels (C, kPanel), the last one narrower if need be: where element (c, k) lies.
  static int64_t packed_at(int64_t channels, int64_t filters, int64_t c, int64_t k) {
    const int64_t first = k / kPanel * kPanel, width = std::min(kPanel, filters - first);
    return first * channels + c * width + (k - first);
  }

  /// V[p] of a block whose tiles are summed over consists of groups of channels (tiles, kGroup): where
  /// element (t, c) lies.
  static int64_t grouped_at(int64_t tiles, int64_t t, int64_t c) {
    return (c / kGroup * tiles + t) * kGroup + c % kGroup;
  }

  static void pack(const WinogradFilters& f, int64_t first) {
    const int64_t slice = winograd_slice(f.k * f.c);
    for (int64_t c = 0; c < f.c; c += kGroup) {
      float taps[9][kGroup][kGroup];  // [tap][input channel][output channel]
      for (int64_t tap = 0; tap < 9; ++tap) {
        const float* from =
            f.w + (f.turned ? 8 - tap : tap) * f.tap_stride + first * f.k_stride + c * f.c_stride;
        for (int64_t i = 0; i < kGroup; ++i)
          for (int64_t j = 0; j < kGroup; ++j) taps[tap][j][i] = from[i * f.k_stride + j * f.c_stride];
      }
      for (int64_t j = 0; j < kGroup; ++j)
        for (int64_t i = 0; i < kGroup; i += kLanes) {
          Vector g[3][3], u[F::kPatch][F::kPatch];
#pragma GCC unroll 16
          for (int tap = 0; tap < 9; ++tap) g[tap / 3][tap % 3] = Vector::load(&taps[tap][j][i]);
          transform_filter<F>(g, u);
          float* to = f.packed + packed_at(f.c, f.k, c + j, first + i);
#pragma GCC unroll 64
          for (int p = 0; p < kPositions; ++p) u[p / F::kPatch][p % F::kPatch].store(to + p * slice);
        }
    }
  }

  static void input(const WinogradConv& conv, const WinogradBlock& block, int64_t begin, int64_t end) {
    const Conv2dShape& s = conv.shape;
    const int64_t slice = winograd_slice(block.count * s.c);
    for (int64_t t = begin; t < end; ++t) {
      const WinogradTile tile(conv, block.first + t, F::kTile);
      const float* pixels[F::kPatch][F::kPatch];
      for (int i = 0; i < F::kPatch; ++i)
        for (int j = 0; j < F::kPatch; ++j) {
          const int64_t row = tile.row + i - s.pad, column = tile.column + j - s.pad;
          const bool inside = row >= 0 && row < s.h && column >= 0 && column < s.w;
          pixels[i][j] = inside ? conv.x + ((tile.image * s.h + row) * s.w + column) * s.c : conv.zeros;
        }
      for (int64_t c = 0; c < s.c; c += kLanes) {
        float* to = block.v + (block.grouped ? grouped_at(block.count, t, c) : t * s.c + c);
        Vector d[F::kPatch][F::kPatch], v[F::kPatch][F::kPatch];
#pragma GCC unroll 64
        for (int p = 0; p < kPositions; ++p)
          d[p / F::kPatch][p % F::kPatch] = Vector::load(pixels[p / F::kPatch][p % F::kPatch] + c);
        transform_input<F>(d, v);
#pragma GCC unroll 64
        for (int p = 0; p < kPositions; ++p) v[p / F::kPatch][p % F::kPatch].store(to + p * slice);
      }
    }
  }

  static void multiply(const WinogradConv& conv, const WinogradBlock& block, int64_t p, int64_t k) {
    const Conv2dShape& s = conv.shape;
    const int64_t width = std::min(kPanel, s.k - k);
    const float* v = block.v + p * winograd_slice(block.count * s.c);
    const float* u = conv.filters + p * winograd_slice(s.k * s.c) + k * s.c;
    float* m = block.m + p * winograd_slice(block.count * s.k) + k;
    for (int64_t c = 0; c < s.c; c += kDepth)
      RegisterTiles<Isa>::multiply_rows(block.count, width == kPanel, {v + c, s.c, 1}, u + c * width,
                                        std::min(kDepth, s.c - c), c == 0, m, s.k);
  }

  static void output(const WinogradConv& conv, const WinogradBlock& block, int64_t begin, int64_t end) {
    const Conv2dShape& s = conv.shape;
    const int64_t oh = s.oh(), ow = s.ow(), slice = winograd_slice(block.count * s.k);
    for (int64_t t = begin; t < end; ++t) {
      const WinogradTile tile(conv, block.first + t, F::kTile);
      const int64_t rows = std::min<int64_t>(F::kTile, oh - tile.row);
      const int64_t columns = std::min<int64_t>(F::kTile, ow - tile.column);
      const int64_t corner = ((tile.image * oh + tile.row) * ow + tile.column) * s.k;
      const float* from = block.m + t * s.k;
      for (int64_t k = 0; k < s.k; k += kLanes) {
        Vector m[F::kPatch][F::kPatch], y[F::kTile][F::kTile];
#pragma GCC unroll 64
        for (int p = 0; p < kPositions; ++p)
          m[p / F::kPatch][p % F::kPatch] = Vector::load(from + p * slice + k);
        transform_output<F>(m, y);
        const Vector scale = conv.scale ? Vector::load(conv.scale + k) : Vector::fill(1);
        const Vector bias = conv.bias ? Vector::load(conv.bias + k) : Vector::fill(0);
        for (int64_t i = 0; i < rows; ++i)
          for (int64_t j = 0; j < columns; ++j) {
            const int64_t at = corner + (i * ow + j) * s.k + k;
            // epilogue_value of kernels/gemm/epilogue_math.h, on vectors.
            Vector value = divide<F::kDivisor * F::kDivisor>(y[i][j]) * scale + bias;
            if (conv.residual) value = value + Vector::load(conv.residual + at);
            (conv.relu ? relu(value) : value).store(conv.y + at);
          }
      }
    }
  }

  static void gradient(const WinogradConv& conv, const float* g, const WinogradBlock& block, int64_t begin,
                       int64_t end) {
    const Conv2dShape& s = conv.shape;
    const int64_t oh = s.oh(), ow = s.ow(), slice = winograd_slice(block.count * s.k);
    for (int64_t t = begin; t < end; ++t) {
      const WinogradTile tile(conv, block.first + t, F::kTile);
      const float* pixels[F::kTile][F::kTile];
      for (int i = 0; i < F::kTile; ++i)
        for (int j = 0; j < F::kTile; ++j) {
          const int64_t row = tile.row + i, column = tile.column + j;
          pixels[i][j] =
              row < oh && column < ow ? g + ((tile.image * oh + row) * ow + column) * s.k : conv.zeros;
        }
      for (int64_t k = 0; k < s.k; k += kLanes) {
        Vector dy[F::kTile][F::kTile], dm[F::kPatch][F::kPatch];
        for (int i = 0; i < F::kTile; ++i)
          for (int j = 0; j < F::kTile; ++j) dy[i][j] = Vector::load(pixels[i][j] + k);
        transform_output_gradient<F>(dy, dm);
        float* to = block.m + packed_at(block.count, s.k, t, k);
#pragma GCC unroll 64
        for (int p = 0; p < kPositions; ++p) dm[p / F::kPatch][p % F::kPatch].store(to + p * slice);
      }
    }
  }

  static void sum_gradient(const Conv2dShape& s, const WinogradBlock& block, int64_t p, int64_t k,
                           float* du) {
    const int64_t width = std::min(kPanel, s.k - k);
    const float* v = block.v + p * winograd_slice(block.count * s.c);
    const float* m = block.m + p * winograd_slice(block.count * s.k) + k * block.count;
    float* sums = du + p * winograd_slice(s.k * s.c) + k * s.c;
    for (int64_t t = 0; t < block.count; t += kDepth)
      for (int64_t c = 0; c < s.c; c += kGroup)
        RegisterTiles<Isa>::multiply_rows(
            kGroup, width == kPanel, {v + grouped_at(block.count, t, c), 1, kGroup}, m + t * width,
            std::min(kDepth, block.count - t), block.starts && t == 0, sums + c * width, width);
  }

  static void unpack(const Conv2dShape& s, const float* du, int64_t first, float* dw, Accumulate accumulate) {
    const int64_t slice = winograd_slice(s.k * s.c);
    for (int64_t c = 0; c < s.c; c += kGroup) {
      float taps[9][kGroup][kGroup];  // [tap][input channel][output channel]
      for (int64_t j = 0; j < kGroup; ++j)
        for (int64_t i = 0; i < kGroup; i += kLanes) {
          const float* from = du + packed_at(s.c, s.k, c + j, first + i);
          Vector u[F::kPatch][F::kPatch], g[3][3];
#pragma GCC unroll 64
          for (int p = 0; p < kPositions; ++p)
            u[p / F::kPatch][p % F::kPatch] = Vector::load(from + p * slice);
          transform_filter_gradient<F>(u, g);
#pragma GCC unroll 16
          for (int tap = 0; tap < 9; ++tap)
            divide<F::kDivisor * F::kDivisor>(g[tap / 3][tap % 3]).store(&taps[tap][j][i]);
        }
      for (int64_t i = 0; i < kGroup; ++i)
        for (int64_t tap = 0; tap < 9; ++tap)
          for (int64_t j = 0; j < kGroup; ++j)
            put(dw[((first + i) * 9 + tap) * s.c + c + j], taps[tap][j][i], accumulate);
    }
  }

  static constexpr WinogradKernels table(const char* instruction_set) {
    return {instruction_set, F::kTile, F::kPatch, Isa::kTileRows, kPanel,       pack,
            input,           multiply, output,    gradient,       sum_gradient, unpack};
  }
};

}  // namespace
}  // namespace rcnn::kernels
