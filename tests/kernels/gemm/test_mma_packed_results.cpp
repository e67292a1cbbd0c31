// The packed forms that kernels leave of their results.
#if defined(RCNN_CUDA)

#include "kernels/gemm/conv2d_cases.h"
#include "kernels/gemm/epilogue_cases.h"
#include "kernels/gemm/matmul_cases.h"
#include "kernels/gemm/mma_plan.h"
#include "tests/kernels/gemm/packed_values.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

TEST_CASE("tensor cores: results are left packed, as they would be packed afterwards") {
  if (cuda::device_count() == 0) return;
  Context ctx(Device{DeviceType::cuda, 0});
  if (lacks_tensor_cores(ctx)) return;
  for (const int64_t k : {8, 24, 72, 9})
    for (const int parts : {1, 3}) {
      CAPTURE(k);
      CAPTURE(parts);
      PackedOperand packed;
      const Conv2dShape shape{2, 7, 5, 40, k, 3, 3, 1, 1, 1};
      auto p = on_device(prepare_conv2d<float>({shape, true, true, true, true}, Filler(4, Fill::normal)),
                         ctx.device);
      p.args.packed_y = &packed;
      const Workspace::Scope scope(ctx.workspace);
      mma::conv2d_planned(ctx.stream, ctx.workspace, p.args, Precision::bf16,
                          mma::Plan{mma::TileSize::m64n64, parts});
      CHECK(packed.values.defined() == (k != 9));  // a form with padding is left to the pass that packs
      if (k != 9) CHECK(packed.holds<bf16>(p.args.y, 2 * 7 * 5, k));
      if (k != 9) CHECK(bits_of(packed) == rounded(p.outputs[0]));
    }
  for (const int64_t n : {8, 136, 7}) {
    PackedOperand packed;
    auto p = on_device(prepare_matmul<float>({13, n, 70, false, true, true, true}, Filler(5, Fill::normal)),
                       ctx.device);
    p.args.packed_c = &packed;
    run_on(ctx, matmul_mma_bf16, p.args);
    CHECK(packed.values.defined() == (n != 7));
    if (n != 7) CHECK(bits_of(packed) == rounded(p.outputs[0]));
  }
}

TEST_CASE("tensor cores: the epilogue's gradient is left packed, with or without its floats") {
  if (cuda::device_count() == 0) return;
  Context ctx(Device{DeviceType::cuda, 0});
  for (const EpilogueCase& c : {EpilogueCase{37, 8, true, true, true, false, false},
                                EpilogueCase{4100, 40, true, true, true, true, true},
                                EpilogueCase{5, 264, false, true, true, false, false},
                                EpilogueCase{0, 8, true, false, true, false, true}}) {
    CAPTURE(c.rows);
    auto p = on_device(prepare_epilogue_backward<float>(c, Filler(6, Fill::normal)), ctx.device);
    PackedOperand packed;
    p.args.packed_dz = &packed;
    run_on(ctx, epilogue_backward_block_per_chunk, p.args);
    const auto expected = rounded(p.outputs[0]);
    CHECK(packed.holds<bf16>(p.args.dz, c.rows, c.c));
    CHECK(bits_of(packed) == expected);
    p.args.dz = nullptr;
    p.outputs[0].fill(7);
    run_on(ctx, epilogue_backward_block_per_chunk, p.args);
    CHECK(packed.holds<bf16>(nullptr, c.rows, c.c));
    CHECK(bits_of(packed) == expected);
  }
}

TEST_CASE("tensor cores: dx with the mask and scale of the layer below is that layer's g") {
  if (cuda::device_count() == 0) return;
  Context ctx(Device{DeviceType::cuda, 0});
  if (lacks_tensor_cores(ctx)) return;
  struct Case {
    Conv2dShape shape;
    bool mask, scale;
    int parts;
  };
  const Case cases[] = {{{2, 7, 5, 16, 24, 3, 3, 1, 1, 1}, true, true, 1},
                        {{1, 9, 8, 8, 40, 3, 3, 2, 1, 1}, true, true, 1},  // in phases
                        {{1, 9, 8, 72, 16, 1, 1, 2, 0, 1}, true, false, 1},
                        {{1, 5, 6, 16, 136, 3, 3, 1, 2, 2}, false, true, 3},
                        {{1, 6, 6, 24, 136, 3, 3, 1, 1, 1}, true, true, 3}};
  for (const Case& c : cases) {
    CAPTURE(c.shape.c);
    const int64_t rows = c.shape.n * c.shape.h * c.shape.w;
    auto p = on_device(prepare_conv2d_dx<float>({c.shape}, Filler(7, Fill::normal)), ctx.device);
    auto below = on_device(
        prepare_epilogue_backward<float>({rows, c.shape.c, c.mask, c.scale, true}, Filler(8, Fill::normal)),
        ctx.device);
    const auto run = [&] {
      const Workspace::Scope scope(ctx.workspace);
      mma::conv2d_dx_planned(ctx.stream, ctx.workspace, p.args, Precision::bf16,
                             mma::Plan{mma::TileSize::m64n64, c.parts});
    };
    run();
    below.args.dy = p.args.dx;
    run_on(ctx, epilogue_backward_block_per_chunk, below.args);
    const auto expected = values_of(below.outputs[0]);

    PackedOperand packed;
    p.args.mask = below.args.y;
    p.args.scale = below.args.scale;
    p.args.packed_dx = &packed;
    run();
    CHECK(packed.holds<bf16>(p.args.dx, rows, c.shape.c));
    CHECK(values_of(p.outputs[0]) == expected);  // -0 equals 0
    p.args.dx = nullptr;
    p.outputs[0].fill(7);
    run();
    CHECK(packed.holds<bf16>(nullptr, rows, c.shape.c));
    const auto bits = bits_of(packed);
    REQUIRE(bits.size() == expected.size());
    size_t different = 0;
    for (size_t i = 0; i < bits.size(); ++i)
      different += to_float(bf16{bits[i]}) != to_float(to_bf16(expected[i]));
    CHECK(different == 0);
  }
}

}  // namespace rcnn::kernels

#endif
