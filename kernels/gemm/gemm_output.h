// How the kernels that compute a convolution or a matrix product in tiles write their sums: with the epilogue
// applied or added to a gradient, and in parts if the reduction is split.
//
// Split reduction ("split-K"): a small output has too few tiles to fill a GPU, so several blocks share one
// tile. Part p sums its share of the reduction and writes it to `partials`; a second launch, combine_parts,
// adds the parts in their order, so the bits do not depend on the scheduling. A launcher reads
//
//     const int parts = parts_of(tiles, steps, min_steps);           // 1: not split
//     const GemmParts split = take_parts(workspace, parts, rows, output);
//     launch<kernel>(stream, grid_of(tiles, 1, split), ..., output, split);
//     combine_parts(stream, split, output);                          // does nothing for one part
//
// and its kernel
//
//     const GemmOutput out = output_of_part(output, split, blockIdx.z);
//     const StepRange steps = steps_of_part(all_steps, split, blockIdx.z);
//     ...
//     write_up_to_4(out, row, column, sums);
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "core/accumulate.h"
#include "core/bf16.h"
#include "core/context.h"
#include "kernels/gemm/epilogue_math.h"
#include "kernels/vectors.h"

namespace rcnn::kernels {

/// out[row, column] = relu(scale[column] * sum + bias[column] + residual[row, column]), or with
/// Accumulate::yes out += sum, without an epilogue. Element offsets are below 2^31.
struct GemmOutput {
  float* out = nullptr;  // (rows, columns)
  int columns = 0;
  const float* scale = nullptr;     // (columns) or null
  const float* bias = nullptr;      // (columns) or null
  const float* residual = nullptr;  // (rows, columns) or null; may be `out`
  bool relu = false;
  Accumulate accumulate = Accumulate::no;
  bool vectors = false;  // whether float4 may be used; set by with_vectors

  /// This output with `vectors` set according to the alignment of its pointers and rows.
  GemmOutput with_vectors() const {
    GemmOutput o = *this;
    o.vectors = four_at_a_time(columns, {out, scale, bias, residual});
    return o;
  }
};

/// What kernels on tensor cores can do besides: leave the result in bf16 too, or alone, and take for 0 the
/// sums of a gradient where the ReLU's output in `mask` is not positive. A type of its own, because kernels
/// that sum in registers have none to spare for it.
struct PackedGemmOutput : GemmOutput {
  const float* mask = nullptr;  // (rows, columns) or null
  bf16* packed = nullptr;  // (rows, columns) or null; if it is there, `out` may be null. columns % 8 == 0

  PackedGemmOutput() = default;
  PackedGemmOutput(const GemmOutput& output, const float* relu_output, bf16* form)
      : GemmOutput(output), mask(relu_output), packed(form) {
    vectors = vectors && aligned_to_16(mask);
  }
};

/// Writes V neighbouring columns, starting at `column`, of each of these rows; a negative row is left out.
/// V = 4 requires `vectors` and column % 4 == 0. The caller has checked that the rows and columns exist.
///
/// All addends are loaded before the first result is written: addends and results may be the same memory, so
/// the compiler must keep the order of loads and stores, and would wait for each load in turn.
template <int V, int kRows, class Output>
__device__ inline void write_rows(const Output& o, const int (&rows)[kRows], int column,
                                  const float (&sums)[kRows][V]) {
  float scale[V], bias[V], addends[kRows][V];
  RCNN_UNROLL
  for (int i = 0; i < V; ++i) {
    scale[i] = 1;
    bias[i] = 0;
  }
  if (o.scale) read_values<V>(o.scale + column, scale);
  if (o.bias) read_values<V>(o.bias + column, bias);
  const auto at = [&](int row) { return static_cast<int64_t>(row) * o.columns + column; };
  const float* add = o.accumulate == Accumulate::yes ? o.out : o.residual;
  RCNN_UNROLL
  for (int r = 0; r < kRows; ++r) {
    RCNN_UNROLL
    for (float& addend : addends[r]) addend = 0;
    if (add && rows[r] >= 0) read_values<V>(add + at(rows[r]), addends[r]);
  }
  constexpr bool kPacked = std::is_same_v<Output, PackedGemmOutput>;
  float masks[kPacked ? kRows : 1][V];
  if constexpr (kPacked) {
    RCNN_UNROLL
    for (int r = 0; r < kRows; ++r) {
      RCNN_UNROLL
      for (float& mask : masks[r]) mask = 1;
      if (o.mask && rows[r] >= 0) read_values<V>(o.mask + at(rows[r]), masks[r]);
    }
  }
  RCNN_UNROLL
  for (int r = 0; r < kRows; ++r) {
    float result[V];
    RCNN_UNROLL
    for (int i = 0; i < V; ++i) {
      float sum = sums[r][i];
      if constexpr (kPacked) sum = relu_gradient(masks[r][i], sum);
      result[i] = epilogue_value(sum, scale[i], bias[i], addends[r][i], o.relu);
    }
    if constexpr (kPacked) {
      if (o.packed && rows[r] >= 0) write_rounded<V>(o.packed + at(rows[r]), result);
      if (!o.out) continue;
    }
    if (rows[r] >= 0) write_values<V>(o.out + at(rows[r]), result);
  }
}

/// write_rows for one row.
template <int V, class Output>
__device__ inline void write(const Output& o, int row, int column, const float (&sums)[V]) {
  const int rows[1] = {row};
  float sums_of_row[1][V];
  RCNN_UNROLL
  for (int i = 0; i < V; ++i) sums_of_row[0][i] = sums[i];
  write_rows(o, rows, column, sums_of_row);
}

/// Writes the four columns that start at `column`, a multiple of 4, or as many of them as exist.
__device__ inline void write_up_to_4(const GemmOutput& o, int row, int column, const float (&sums)[4]) {
  if (o.vectors) {
    if (column < o.columns) write<4>(o, row, column, sums);
  } else {
    RCNN_UNROLL
    for (int i = 0; i < 4; ++i)
      if (column + i < o.columns) write<1>(o, row, column + i, {sums[i]});
  }
}

/// The parts of a split reduction.
struct GemmParts {
  int count;        // 1: not split, and `partials` is null
  int rows;         // of the output
  float* partials;  // (count, rows, columns)
};

/// The number of blocks that a launch should have if its reduction allows it: two for each of the 132
/// multiprocessors of an H200. It is a constant, so that the same weights give the same bits on every card.
constexpr int64_t kWantedBlocks = 264;

/// The number of parts to split a reduction of `steps` steps into, so that `tiles` tiles become about
/// kWantedBlocks blocks and each part has at least `min_steps` steps.
inline int parts_of(int64_t tiles, int64_t steps, int64_t min_steps) {
  if (tiles <= 0) return 1;
  return static_cast<int>(std::max<int64_t>(1, std::min(kWantedBlocks / tiles, steps / min_steps)));
}

/// The number of parts of the call whose kernel runs in this workspace: that of its plan (kernels/plans.h),
/// if each part has at least `min_steps` steps, or else the rule's, parts_of. Offers the rule's and others
/// within a factor of four.
int parts_of_call(Workspace& workspace, int64_t tiles, int64_t steps, int64_t min_steps);

inline GemmParts take_parts(Workspace& workspace, int count, int64_t rows, const GemmOutput& output) {
  float* partials = count > 1 ? workspace.take<float>(count * rows * output.columns) : nullptr;
  return {count, static_cast<int>(rows), partials};
}

/// The grid of a kernel with one block per tile, phase and part.
inline dim3 grid_of(int64_t tiles, int phases, const GemmParts& parts) {
  return dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(phases),
              static_cast<unsigned>(parts.count));
}

/// Where part `part` of a split reduction writes its sums, without an epilogue.
template <class Output>
__device__ Output share_of_part(const Output& output, const GemmParts& parts, int part) {
  Output share{};
  share.out = parts.partials + static_cast<int64_t>(part) * parts.rows * output.columns;
  share.columns = output.columns;
  share.vectors = output.columns % 4 == 0;
  return share;
}

/// Where a block of part `part` writes: the output itself, or the share of its part.
template <class Output>
__device__ Output output_of_part(const Output& output, const GemmParts& parts, int part) {
  return parts.count == 1 ? output : share_of_part(output, parts, part);
}

/// Steps [begin, end) of a reduction.
struct StepRange {
  int begin, end;
};

/// The steps of part `part`, out of `steps` in all. With fewer steps than parts, some parts have none.
RCNN_HOST_DEVICE inline StepRange steps_of_part(int steps, const GemmParts& parts, int part) {
  return {static_cast<int>(static_cast<int64_t>(steps) * part / parts.count),
          static_cast<int>(static_cast<int64_t>(steps) * (part + 1) / parts.count)};
}

/// Adds `count` arrays (count, rows, columns) of sums in their order and writes the output. The sums of one
/// array may be the output's own memory.
template <class Output>
void write_sums(const Stream& stream, const float* sums, int count, int64_t rows, const Output& output);

/// Adds the parts in their order and writes the output. Does nothing for one part. Both are defined for both
/// types of outputs in kernels/gemm/gemm_output.cu.
template <class Output>
void combine_parts(const Stream& stream, const GemmParts& parts, const Output& output);

}  // namespace rcnn::kernels
