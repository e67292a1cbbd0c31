// Plans: what `run` makes of them, on the CPU and for kernels that can cut their work.
#include <algorithm>

#include "core/cuda/recorded_work.h"
#include "kernels/gemm/conv2d_cases.h"
#include "kernels/gemm/matmul_cases.h"
#include "kernels/gemm/mma_plan.h"
#include "kernels/gemm/plan_names.h"
#include "kernels/plans.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {
namespace {

/// Keeps the variants that ran.
struct VariantsSeen : OpObserver {
  std::vector<std::string> seen;
  void op_begins(const OpCall&) override {}
  void op_ends(const OpCall& call) override { seen.emplace_back(call.variant); }
};

TEST_CASE("plans: the variant of a plan runs, for calls of its shape alone, and where it fits") {
  Context ctx;
  VariantsSeen observer;
  ctx.observer = &observer;
  const Filler fill(1, Fill::uniform);
  const auto p = prepare_conv2d<float>({{1, 12, 10, 16, 32, 3, 3, 1, 1, 1}, true, true}, fill);
  const auto other = prepare_conv2d<float>({{1, 12, 11, 16, 32, 3, 3, 1, 1, 1}}, fill);
  const std::string first = preferred(ctx, conv2d, p.args).name;
  const PlannedCall call{"conv2d", plan_shape(p.args), first};
  const auto ran = [&](const Conv2dArgs<float>& args) {
    observer.seen.clear();
    run(ctx, conv2d, args);
    REQUIRE(observer.seen.size() == 1);
    return observer.seen.front();
  };
  CHECK(ran(p.args) == first);
  const Tensor expected = p.outputs[0].clone();
  for (const char* variant : {"reference", "winograd_f2", "winograd_f4", "panels"}) {
    CAPTURE(variant);
    use_plan(ctx, call, {variant});
    p.outputs[0].fill(std::numeric_limits<double>::quiet_NaN());
    CHECK(ran(p.args) == variant);
    CHECK(std::string(choose(ctx, conv2d, p.args).name) == variant);
    for (int64_t i = 0; i < expected.numel(); ++i)
      REQUIRE(p.args.y[i] == doctest::Approx(expected.data<float>()[i]).epsilon(1e-3).scale(1));
    CHECK(ran(other.args) == std::string(preferred(ctx, conv2d, other.args).name));
  }
  // A variant of the table that cannot run it, of another device, or that the table does not have.
  const auto thin = prepare_conv2d<float>({{1, 12, 10, 3, 8, 3, 3, 1, 1, 1}}, fill);
  const std::string of_thin = preferred(ctx, conv2d, thin.args).name;
  for (const char* variant : {"winograd_f4", "implicit_gemm", "implicit_gemm_bf16", "none", ""}) {
    use_plan(ctx, {"conv2d", plan_shape(thin.args), of_thin}, {variant});
    CHECK(ran(thin.args) == of_thin);
  }
  // Where the table prefers another variant, the plan does not hold; and --kernel goes first.
  ctx.kernels.clear();
  use_plan(ctx, {"conv2d", plan_shape(p.args), "reference"}, {"winograd_f2"});
  CHECK(ran(p.args) == first);
  use_plan(ctx, call, {"winograd_f2"});
  ctx.kernels["conv2d"] = "reference";
  CHECK(ran(p.args) == "reference");
}

TEST_CASE("plans: work that is recorded has those of its context") {
  Context ctx;
  const PlannedCall call{"conv2d", "a shape", "onednn"};
  use_plans(ctx, Plans{{{call, {"panels", "in 2"}}}});
  RecordedWork(ctx, false).run([&](Context& own) {
    REQUIRE(plan_of(own, call).has_value());
    CHECK(*plan_of(own, call) == CallPlan{"panels", "in 2"});
  });
  CHECK(!plan_of(ctx, {"conv2d", "another", "onednn"}).has_value());
}

TEST_CASE("plans: shapes and cuts have names of their own") {
  CHECK(plan_shape(Conv2dArgs<float>{.shape = {4, 60, 80, 32, 64, 3, 1, 2, 1, 1}}) ==
        "4x60x80x32, 64 filters of 3x1, stride 2, pad 1, dilation 1");
  CHECK(plan_shape(MatmulArgs<float>{.m = 2, .n = 3, .k = 4, .transpose_b = true}) ==
        "2x4 times 4x3 (transposed)");
  using mma::TileSize;
  for (const TileSize tile : {TileSize::m128n256, TileSize::m128n128, TileSize::m128n64, TileSize::m64n64})
    for (const int parts : {1, 3, mma::kMaxParts}) {
      const auto again = mma::plan_of_cut(mma::cut_of({tile, parts}));
      REQUIRE(again.has_value());
      CHECK(again->tile == tile);
      CHECK(again->parts == parts);
    }
  CHECK(mma::cut_of({TileSize::m128n64, 2}) == "128x64 in 2");
  for (const char* bad : {"", "128x64", "128x64 in ", "128x64 in 0", "128x64 in 65", "128x64 in 2 ",
                          "128x64 in -1", "64x128 in 2", "64x64 in 2x"})
    CHECK(!mma::plan_of_cut(bad).has_value());
}

TEST_CASE("plans: a cut in parts alone has a name of its own") {
  for (const int parts : {1, 7, kMaxCutParts}) CHECK(parts_of_cut(cut_of_parts(parts)) == parts);
  CHECK(cut_of_parts(2) == "in 2");
  for (const char* bad : {"", "in", "in ", "in 0", "in 265", "in 2 ", " in 2", "in -1", "128x64 in 2"})
    CHECK(!parts_of_cut(bad).has_value());
}

#if defined(RCNN_CUDA)

TEST_CASE("likely_plans: the chosen one first, and few enough to measure") {
  for (const auto& [m, n, chunks] : {std::tuple<int64_t, int64_t, int64_t>{200 * 336, 256, 36},
                                     {200 * 336, 256, 4},
                                     {64, 576, 1050},
                                     {1, 1, 1}}) {
    const auto likely = mma::likely_plans(m, n, chunks);
    const mma::Plan chosen = mma::choose_plan(m, n, chunks);
    REQUIRE(!likely.empty());
    CHECK(likely.size() <= 16);
    CHECK(likely.front().tile == chosen.tile);
    CHECK(likely.front().parts == chosen.parts);
    for (const mma::Plan& plan : likely) CHECK((plan.parts == 1 || plan.parts <= chunks));
  }
}

#endif
#if defined(RCNN_CUDA_SIM)

/// How many blocks of kernels whose name has `part` the call starts.
template <class Call>
uint64_t blocks_of(Context& ctx, std::string_view part, const Call& call) {
  cuda::synchronize(ctx.device);
  cuda_sim::listed().clear();
  const bool list = std::exchange(cuda_sim::settings().list, true);
  call();
  cuda::synchronize(ctx.device);
  cuda_sim::settings().list = list;
  uint64_t blocks = 0;
  for (const auto& [name, listed] : cuda_sim::listed())
    if (name.find(part) != std::string::npos) blocks += listed.blocks;
  cuda_sim::listed().clear();
  return blocks;
}

TEST_CASE("plans: the cut of a plan runs, in each of the ops that can be cut") {
  REQUIRE(cuda::device_count() > 0);
  Context ctx(Device{DeviceType::cuda, 0});
  ctx.precision = Precision::bf16;
  const auto compare = [&](const auto& op, const auto& host, const auto& planned, uint64_t tiles_of_64) {
    CAPTURE(op.name);
    const auto p = on_device(host, ctx.device);
    const auto result = [&](auto call) {
      call();
      return p.outputs[0].to(Device{});
    };
    const auto as_planned = [&] { run(ctx, op, p.args); };
    const std::string first = preferred(ctx, op, p.args).name;
    std::vector<std::string> offered;
    ctx.workspace.cache<CutOfCall>().offered = &offered;
    const Tensor without = result(as_planned);
    ctx.workspace.cache<CutOfCall>().offered = nullptr;
    REQUIRE(offered.size() > 1);
    const auto forced = [&](mma::TileSize tile, int parts) {
      return result([&] {
        const Workspace::Scope scope(ctx.workspace);
        planned(ctx.stream, ctx.workspace, p.args, Precision::bf16, mma::Plan{tile, parts});
      });
    };
    const mma::Plan chosen = *mma::plan_of_cut(offered.front());
    CHECK(same_bits(without, forced(chosen.tile, chosen.parts)));
    for (const int parts : {1, 2}) {
      use_plan(ctx, {op.name, plan_shape(p.args), first},
               {first, mma::cut_of({mma::TileSize::m64n64, parts})});
      CHECK(same_bits(result(as_planned), forced(mma::TileSize::m64n64, parts)));
      CHECK(blocks_of(ctx, "mma_kernel", as_planned) == tiles_of_64 * static_cast<uint64_t>(parts));
    }
    // A cut that is none, or with more parts than chunks, is that of the rule.
    for (const char* cut : {"64x64 in 64", "none"}) {
      use_plan(ctx, {op.name, plan_shape(p.args), first}, {first, cut});
      CHECK(same_bits(result(as_planned), without));
    }
    CHECK(ctx.workspace.cache<CutOfCall>().wanted.empty());
    ctx.kernels.clear();
  };
  const Filler fill(1, Fill::uniform);
  // 130 rows and 68 columns are 3 x 2 tiles of 64; of 72 channels and 9 taps 11 chunks of 64.
  compare(matmul, prepare_matmul<float>({130, 68, 200, false, true}, fill), mma::matmul_planned, 6);
  const Conv2dCase c{{1, 10, 13, 72, 68, 3, 3, 1, 1, 1}};
  compare(conv2d, prepare_conv2d<float>(c, fill), mma::conv2d_planned, 6);
  compare(conv2d_dx, prepare_conv2d_dx<float>(c, fill), mma::conv2d_dx_planned, 6);
  // 68 filters by 9 x 72 columns.
  compare(conv2d_dw, prepare_conv2d_dw<float>(c, fill), mma::conv2d_dw_planned, 2 * 11);
}

TEST_CASE("plans: products on register tiles are cut in parts as a plan says") {
  REQUIRE(cuda::device_count() > 0);
  Context ctx(Device{DeviceType::cuda, 0});
  const auto compare = [&](const auto& op, const auto& host, const std::string& variant, uint64_t tiles) {
    CAPTURE(op.name);
    const auto p = on_device(host, ctx.device);
    const auto blocks = [&](const std::string& cut) {
      ctx.kernels.clear();
      use_plan(ctx, {op.name, plan_shape(p.args), variant}, {variant, cut});
      return blocks_of(ctx, "_kernel<", [&] { run(ctx, op, p.args); });
    };
    const auto result = [&] {
      p.outputs[0].fill(std::numeric_limits<double>::quiet_NaN());
      run(ctx, op, p.args);
      return p.outputs[0].to(Device{});
    };
    REQUIRE(std::string(preferred(ctx, op, p.args).name) == variant);
    std::vector<std::string> offered;
    ctx.workspace.cache<CutOfCall>().offered = &offered;
    const Tensor without = result();
    ctx.workspace.cache<CutOfCall>().offered = nullptr;
    REQUIRE(offered.size() > 2);
    const int rule = *parts_of_cut(offered.front());
    for (size_t i = 0; i < offered.size(); ++i) {
      CAPTURE(offered[i]);
      const int parts = *parts_of_cut(offered[i]);
      CHECK((i == 0 || parts != rule));
      CHECK(blocks(offered[i]) >= tiles * static_cast<uint64_t>(parts));
      const Tensor planned = result();
      CHECK(same_bits(planned, without) == (parts == rule));
      for (int64_t at = 0; at < planned.numel(); ++at)
        REQUIRE(planned.data<float>()[at] ==
                doctest::Approx(without.data<float>()[at]).epsilon(1e-4).scale(1));
    }
    // A cut that is none, of another kind, or with more parts than there are shares of 64 terms.
    const uint64_t by_rule = blocks(offered.front());
    for (const char* cut : {"in 264", "none", "64x64 in 1"}) CHECK(blocks(cut) == by_rule);
    CHECK(blocks("in 1") < by_rule);
  };
  const Filler fill(1, Fill::uniform);
  const Conv2dCase c{{1, 10, 13, 72, 68, 3, 3, 1, 1, 1}};
  compare(matmul, prepare_matmul<float>({130, 68, 520, false, true}, fill), "register_tiles", 2);
  compare(conv2d, prepare_conv2d<float>(c, fill), "implicit_gemm", 2);
  compare(conv2d_dx, prepare_conv2d_dx<float>(c, fill), "implicit_gemm", 2);
  compare(conv2d_dw, prepare_conv2d_dw<float>({{1, 20, 23, 72, 68, 3, 3, 1, 1, 1}}, fill), "implicit_gemm",
          6);
}

#endif

}  // namespace
}  // namespace rcnn::kernels
