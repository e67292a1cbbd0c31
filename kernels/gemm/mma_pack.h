// The passes that bring operands into the form that kernels/gemm/mma_tile.h reads.
#pragma once

#include <cstdint>

#include "core/bf16.h"
#include "core/context.h"
#include "kernels/gemm/packed_operand.h"
#include "kernels/gemm/weights_key.h"

namespace rcnn::kernels::mma {

/// c rounded up to whole vectors of 16 bytes.
template <class Stored>
constexpr int64_t padded(int64_t c) {
  constexpr int64_t vector = 16 / sizeof(Stored);
  return (c + vector - 1) / vector * vector;
}

/// The matrix (rows, c) as (rows, padded(c)) of Stored, rounded, with zeros in the padding. If `kept` has
/// that form already, nothing is done; otherwise the form is left there, or without `kept` it is valid until
/// the op returns. Aligned floats that need no padding are used in place, and not rounded.
template <class Stored>
const Stored* packed_rows(const Stream& stream, Workspace& workspace, const float* values, int64_t rows,
                          int64_t c, PackedOperand* kept);

/// The same for weights. The form is kept until these change, and a recorded step packs them once in each
/// replay. `in_place` as above; otherwise floats are packed too, so that they are rounded.
template <class Stored>
const Stored* packed_weights(const Stream& stream, Workspace& workspace, const float* values, int64_t rows,
                             int64_t c, const WeightsKey& weights, bool in_place);

/// Memory for the bf16 form of a result (rows, c) that `kept` is to hold, which the kernel that computes the
/// result writes. Null if `kept` is null or the form has padding.
bf16* packed_result(const Stream& stream, const float* result, int64_t rows, int64_t c, PackedOperand* kept);

/// The filters (k, taps, c) as (c, taps, padded(k)) of Stored, rounded, with zeros in the padding; kept
/// likewise.
template <class Stored>
const Stored* packed_transposed(const Stream& stream, Workspace& workspace, const float* filters, int64_t k,
                                int64_t taps, int64_t c, const WeightsKey& weights);

}  // namespace rcnn::kernels::mma
