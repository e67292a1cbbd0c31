// How a matrix product on tensor cores is cut into blocks.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

/// The ops with the given plan, or with that of the call if none is given. `precision` is tf32 or bf16. For
/// tests and experiments; the variants in the ops' tables choose their plans.
void conv2d_planned(const Stream&, Workspace&, const Conv2dArgs<float>&, Precision, std::optional<Plan>);
void conv2d_dx_planned(const Stream&, Workspace&, const Conv2dDxArgs<float>&, Precision, std::optional<Plan>);
void conv2d_dw_planned(const Stream&, Workspace&, const Conv2dDwArgs<float>&, Precision, std::optional<Plan>);
void matmul_planned(const Stream&, Workspace&, const MatmulArgs<float>&, Precision, std::optional<Plan>);

}  // namespace rcnn::kernels::mma
