// The innermost part of a matrix product on the CPU. Include it as kernels/gemm/simd.h says.
#pragma once

#include "kernels/gemm/simd.h"

namespace rcnn::kernels {
namespace {

/// The matrix product's innermost part: a tile of sums that stay in registers.
template <class Isa>
struct RegisterTiles {
  using Vector = Floats<Isa>;
  static constexpr int kLanes = Vector::kLanes, kRows = Isa::kTileRows, kVectors = Isa::kTileVectors;
  static constexpr int kPanel = kVectors * kLanes;
  /// The last panel may be narrower: columns come in groups of 16, so there is at most one other width.
  static constexpr int kGroup = 16, kNarrow = std::min(kPanel, kGroup), kNarrowVectors = kNarrow / kLanes;
  static_assert(kPanel == 2 * kGroup || kGroup % kPanel == 0);

  /// A left operand of a product: element (row, step of the sum) at data[row * row_stride + step *
  /// step_stride].
  struct Left {
    const float* data;
    int64_t row_stride, step_stride;
  };

  /// `rows` rows of `v` times `vectors` registers of columns of `u` (depth, columns), summed over `depth`
  /// steps. `first` starts the sums, otherwise they go on.
  template <int rows, int vectors>
  static void multiply(Left v, const float* u, int64_t depth, bool first, float* m, int64_t m_stride) {
    Vector sums[rows][vectors];
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i)
#pragma GCC unroll 16
      for (int j = 0; j < vectors; ++j) sums[i][j] = Vector::fill(0);
    for (int64_t c = 0; c < depth; ++c) {
      Vector columns[vectors];
#pragma GCC unroll 16
      for (int j = 0; j < vectors; ++j) {
        columns[j] = Vector::load(u + (c * vectors + j) * kLanes);
        // What is multiplied next, in most cases: it comes from the L3 cache while these sums are made.
        __builtin_prefetch(u + ((c + depth) * vectors + j) * kLanes, 0, 2);
      }
#pragma GCC unroll 16
      for (int i = 0; i < rows; ++i) {
        const Vector row = Vector::fill(v.data[i * v.row_stride]);
#pragma GCC unroll 16
        for (int j = 0; j < vectors; ++j) sums[i][j] = multiply_add(row, columns[j], sums[i][j]);
      }
      v.data += v.step_stride;
    }
    if (first) {
#pragma GCC unroll 16
      for (int i = 0; i < rows; ++i)
#pragma GCC unroll 16
        for (int j = 0; j < vectors; ++j) sums[i][j].store(m + i * m_stride + j * kLanes);
    } else {
#pragma GCC unroll 16
      for (int i = 0; i < rows; ++i)
#pragma GCC unroll 16
        for (int j = 0; j < vectors; ++j) {
          float* to = m + i * m_stride + j * kLanes;
          (Vector::load(to) + sums[i][j]).store(to);
        }
    }
  }

  using Run = decltype(&multiply<1, 1>);
  template <int vectors, size_t... i>
  static constexpr std::array<Run, sizeof...(i)> all_rows(std::index_sequence<i...>) {
    return {&multiply<static_cast<int>(i) + 1, vectors>...};
  }
  /// The same for any number of rows, and for a panel that is full or narrow.
  static void multiply_rows(int64_t rows, bool full, Left v, const float* u, int64_t depth, bool first,
                            float* m, int64_t m_stride) {
    static constexpr auto kFull = all_rows<kVectors>(std::make_index_sequence<kRows>());
    static constexpr auto kNarrow = all_rows<kNarrowVectors>(std::make_index_sequence<kRows>());
    // Strips of equal height: 13 rows are 7 and 6, not 12 and 1.
    const int64_t strips = (rows + kRows - 1) / kRows, height = (rows + strips - 1) / strips;
    for (int64_t row = 0; row < rows; row += height) {
      const auto index = static_cast<size_t>(std::min(height, rows - row) - 1);
      (full ? kFull : kNarrow)[index]({v.data + row * v.row_stride, v.row_stride, v.step_stride}, u, depth,
                                      first, m + row * m_stride, m_stride);
    }
  }
};

}  // namespace
}  // namespace rcnn::kernels
