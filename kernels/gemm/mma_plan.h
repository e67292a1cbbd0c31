// How a matrix product on tensor cores is cut into blocks, and the passes that bring its operands into the
// form that kernels/gemm/mma_tile.h needs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bf16.h"
#include "core/context.h"
#include "kernels/gemm/conv2d.h"
#include "kernels/gemm/matmul.h"

namespace rcnn::kernels::mma {

/// Rows and columns of a block's tile. m128n256 is for cards whose blocks may have kLargeTileShared bytes of
/// shared memory.
enum class TileSize { m128n256, m128n128, m128n64, m64n64 };

inline constexpr size_t kLargeTileShared = 148 * 1024;
/// The tile that a card with `block_shared` bytes for a block takes instead of `wanted`. All tiles sum in the
/// same order, so they give the same bits.
inline TileSize tile_that_fits(TileSize wanted, size_t block_shared) {
  return wanted == TileSize::m128n256 && block_shared < kLargeTileShared ? TileSize::m128n128 : wanted;
}

inline constexpr int kMaxParts = 64;

/// The tile of a block, and how many blocks share the reduction of one tile: the parts
/// of kernels/gemm/gemm_output.h.
struct Plan {
  TileSize tile = TileSize::m64n64;
  int parts = 1;
};

/// The plan that a rough model of the running time prefers for `products` products (m x n) in one launch,
/// each about `chunks` chunks deep. It depends only on the sizes, not on the card, so that all cards give
/// the same bits.
Plan choose_plan(int64_t m, int64_t n, int64_t chunks, int64_t products = 1);

/// The plans that the model expects to take at most twice as long as the one that choose_plan prefers, which
/// is the first: at most 16.
std::vector<Plan> likely_plans(int64_t m, int64_t n, int64_t chunks, int64_t products = 1);

/// A plan as the cut of a CallPlan: "128x64 in 2". Reading it back gives nothing for any other text.
std::string cut_of(const Plan& plan);
std::optional<Plan> plan_of_cut(std::string_view cut);

/// The plan of a call whose kernel runs in this workspace: the one that a CallPlan wants, or choose_plan's.
/// Offers likely_plans to whoever asks (CutOfCall).
Plan plan_of_call(Workspace& workspace, int64_t m, int64_t n, int64_t chunks, int64_t products = 1);

/// c rounded up to whole vectors of 16 bytes.
template <class Stored>
constexpr int64_t padded(int64_t c) {
  constexpr int64_t vector = 16 / sizeof(Stored);
  return (c + vector - 1) / vector * vector;
}

/// The matrix (rows, c) as (rows, padded(c)) of Stored, with zeros in the padding. Aligned floats that need
/// no padding are used in place. If the matrix holds weights, the result is kept until these change, and a
/// recorded step packs them once in each replay; otherwise it is valid until the op returns.
template <class Stored>
const Stored* packed_rows(const Stream& stream, Workspace& workspace, const float* values, int64_t rows,
                          int64_t c, const WeightsKey& weights = {});

/// The same for a layer's input. Forward leaves the form in `keep` if that is given, and the gradient of the
/// weights takes it from `kept` if it is there.
template <class Stored>
const Stored* packed_input(const Stream& stream, Workspace& workspace, const float* values, int64_t rows,
                           int64_t c, PackedInput* keep);
template <class Stored>
const Stored* kept_input(const Stream& stream, Workspace& workspace, const float* values, int64_t rows,
                         int64_t c, const PackedInput* kept);

/// The same for the gradient of a layer's output, which dw and dx read one after the other: the second finds
/// what the first has packed, as long as nothing else was packed in between.
template <class Stored>
const Stored* packed_gradient(const Stream& stream, Workspace& workspace, const float* values, int64_t rows,
                              int64_t c, const ContentsKey& contents);

/// The filters (k, taps, c) as (c, taps, padded(k)) of Stored, with zeros in the padding; kept likewise.
template <class Stored>
const Stored* packed_transposed(const Stream& stream, Workspace& workspace, const float* filters, int64_t k,
                                int64_t taps, int64_t c, const WeightsKey& weights);

/// The ops with the given plan, or with that of the call if none is given. `precision` is tf32 or bf16. For
/// tests and experiments; the variants in the ops' tables choose their plans.
void conv2d_planned(const Stream&, Workspace&, const Conv2dArgs<float>&, Precision, std::optional<Plan>);
void conv2d_dx_planned(const Stream&, Workspace&, const Conv2dDxArgs<float>&, Precision, std::optional<Plan>);
void conv2d_dw_planned(const Stream&, Workspace&, const Conv2dDwArgs<float>&, Precision, std::optional<Plan>);
void matmul_planned(const Stream&, Workspace&, const MatmulArgs<float>&, Precision, std::optional<Plan>);

}  // namespace rcnn::kernels::mma
