// The tensor-core variants with the plans that are normally chosen for larger problems: big tiles, and split
// reductions. The plans for small problems are tested through the ops' tables.
#if defined(RCNN_CUDA)

#include "kernels/gemm/conv2d_cases.h"
#include "kernels/gemm/matmul_cases.h"
#include "kernels/gemm/mma_plan.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {
namespace {

using mma::TileSize;

constexpr auto conv2d_planned = mma::conv2d_planned;
constexpr auto conv2d_dx_planned = mma::conv2d_dx_planned;
constexpr auto conv2d_dw_planned = mma::conv2d_dw_planned;
constexpr auto matmul_planned = mma::matmul_planned;

template <auto Planned, class Args, Precision P, TileSize Tile, int Parts>
void with_plan(const Stream& stream, Workspace& workspace, const Args& args) {
  Planned(stream, workspace, args, P, mma::Plan{Tile, Parts});
}

template <auto Planned, Precision P, TileSize Tile, int Parts, class A, class A64>
Variant<A, A64> planned(const char* name, const Op<A, A64>&) {
  return {name, on_cuda.with(P, 80), with_plan<Planned, A, P, Tile, Parts>};
}

/// Compares the op under several plans with its reference.
template <auto Planned, class A, class A64, class Case, class Prepare>
void verify_plans(const Op<A, A64>& op, const std::vector<Case>& cases, Prepare prepare) {
#if defined(RCNN_CUDA_SIM)
  REQUIRE(cuda::device_count() > 0);  // otherwise nothing below would run
#endif
  using enum Precision;
  Variants<A, A64> variants;
  variants.push_back(planned<Planned, tf32, TileSize::m128n256, 2>("tf32 128x256 in 2", op));
  variants.push_back(planned<Planned, bf16, TileSize::m128n256, 1>("bf16 128x256", op));
  variants.push_back(planned<Planned, tf32, TileSize::m128n128, 1>("tf32 128x128", op));
  variants.push_back(planned<Planned, bf16, TileSize::m128n128, 3>("bf16 128x128 in 3", op));
  variants.push_back(planned<Planned, tf32, TileSize::m128n64, 2>("tf32 128x64 in 2", op));
  variants.push_back(planned<Planned, bf16, TileSize::m128n64, 1>("bf16 128x64", op));
  variants.push_back(planned<Planned, tf32, TileSize::m64n64, 3>("tf32 64x64 in 3", op));
  variants.push_back(planned<Planned, bf16, TileSize::m64n64, 2>("bf16 64x64 in 2", op));
  variants.push_back(op.variants.back());
  verify(Op{op.name, op.family, variants}, cases, prepare);
}

// More than one tile of 128 rows and of 64 columns, reductions that end inside a chunk, channels with and
// without padding, and three kinds of stride for dx: 1, 2, and 3 with dilation.
std::vector<Conv2dCase> plan_cases() {
  //   n   h   w   c   k  r  s  stride pad dilation
  return {
      {{1, 12, 11, 12, 68, 1, 3, 1, 1, 1}, true, true, true, true},
      {{1, 8, 8, 68, 20, 3, 2, 2, 1, 1}, false, true, false, true},
      {{1, 10, 11, 5, 7, 2, 4, 3, 2, 2}, true, false, true},
  };
}

TEST_CASE("conv2d: tensor-core plans agree with the reference") {
  verify_plans<conv2d_planned>(conv2d, plan_cases(), [](auto zero, const auto& c, Filler fill) {
    return prepare_conv2d<decltype(zero)>(c, fill);
  });
}

TEST_CASE("conv2d_dx: tensor-core plans agree with the reference") {
  verify_plans<conv2d_dx_planned>(conv2d_dx, plan_cases(), [](auto zero, const auto& c, Filler fill) {
    return prepare_conv2d_dx<decltype(zero)>(c, fill);
  });
}

TEST_CASE("conv2d_dw: tensor-core plans agree with the reference") {
  verify_plans<conv2d_dw_planned>(conv2d_dw, plan_cases(), [](auto zero, const auto& c, Filler fill) {
    return prepare_conv2d_dw<decltype(zero)>(c, fill);
  });
}

TEST_CASE("matmul: tensor-core plans agree with the reference") {
  const std::vector<MatmulCase> cases = {
      {132, 68, 100, false, true, true, true},
      {70, 72, 36, false, false, true},
      {68, 67, 40, true, false},
      {40, 132, 33, true, true},
      {136, 264, 40, false, true},
  };
  verify_plans<matmul_planned>(matmul, cases, [](auto zero, const auto& c, Filler fill) {
    return prepare_matmul<decltype(zero)>(c, fill);
  });
}

TEST_CASE("choose_plan: large problems get large tiles, and long reductions are split to fill the GPU") {
  using mma::choose_plan;
  // The RPN's convolution of R50-FPN in bf16 has many tiles, so nothing needs to be split.
  const mma::Plan large = choose_plan(200 * 336, 256, 36);
  CHECK(large.tile == TileSize::m128n256);
  CHECK(large.parts == 1);
  // A short reduction leaves nothing to hide the start and the end of a block that is alone on an SM.
  CHECK(choose_plan(200 * 336, 256, 4).tile == TileSize::m128n128);
  // dw of a 3 x 3 convolution with 64 channels has few tiles and a long reduction.
  CHECK(choose_plan(64, 576, 1050).parts >= 8);
  // An empty problem.
  CHECK(choose_plan(0, 0, 0).parts == 1);
}

TEST_CASE("tile_that_fits: the largest tile needs more shared memory than some cards have") {
  constexpr size_t of_sm_86 = 99 * 1024, of_sm_80 = 163 * 1024;
  CHECK(mma::tile_that_fits(TileSize::m128n256, of_sm_80) == TileSize::m128n256);
  CHECK(mma::tile_that_fits(TileSize::m128n256, of_sm_86) == TileSize::m128n128);
  CHECK(mma::tile_that_fits(TileSize::m64n64, of_sm_86) == TileSize::m64n64);
}

TEST_CASE("operands that are too large with their padding are refused before anything is allocated") {
  if (cuda::device_count() == 0) return;
  Context ctx(Device{DeviceType::cuda, 0});
  const auto message = [&](const MatmulArgs<float>& args, Precision precision) -> std::string {
    try {
      matmul_planned(ctx.stream, ctx.workspace, args, precision, {});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  constexpr int64_t many = int64_t{1} << 28;  // 2^28 values, but 2^31 bf16 in whole vectors
  CHECK(
      message({.m = many, .n = 1, .k = 1}, Precision::bf16) ==
      "an operand of 268435456 x 1 for tensor cores has 2147483648 elements with its padding, but must have "
      "fewer than 2^31");
  CHECK(
      message({.m = 2 * many, .n = 1, .k = 1}, Precision::tf32).starts_with("an operand of 536870912 x 1 "));
}

}  // namespace
}  // namespace rcnn::kernels

#endif
