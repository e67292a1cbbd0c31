#include "kernels/roi/roi_align_cases.h"
#include "layers/roi_align.h"
#include "tests/layers/gradcheck.h"

namespace rcnn {

TEST_CASE("roi_align: gradients agree with central differences") {
  for (const kernels::RoiAlignCase& c : kernels::roi_align_cases()) {
    if (c.roi.n == 0 || c.roi.r == 0 || c.roi.c > 5) continue;  // all channels are treated alike
    std::vector<Tensor> keep;
    kernels::Filler fill(3, kernels::Fill::normal);
    const kernels::RoiLevels a = kernels::make_roi_levels(c.roi, fill, keep);
    const Tensor rois = keep[0], count = c.roi.counted ? keep[1] : Tensor();
    RoiAlignConfig config;
    config.height = c.roi.ph;
    config.width = c.roi.pw;
    config.sampling = c.sampling;
    config.aligned = c.aligned;
    config.scales.assign(a.scale, a.scale + a.levels);
    config.canonical_size = a.canonical_size;
    config.canonical_level = a.canonical_level;
    std::vector<Var> levels;
    for (int l = 0; l < a.levels; ++l)
      levels.push_back(random_leaf(kernels::level_shape(a, l), static_cast<uint64_t>(l + 1)));
    gradcheck([&](Context& ctx) { return roi_align(ctx, levels, rois, count, config); }, levels,
              {.max_elements = 12});
  }
}

TEST_CASE("roi_align: the output of padding rows is 0, whatever they contain") {
  Context ctx;
  const Var x(Tensor::of<float>({1, 1, 2, 1}, {1, 3}));
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor rois = Tensor::of<float>({1, 2, 4}, {0, 0, 1, 0, nan, nan, nan, nan});
  RoiAlignConfig config{.height = 1, .width = 1, .scales = {1}};
  const Var y = roi_align(ctx, {x}, rois, Tensor::of<int32_t>({1}, {1}), config);
  CHECK(y.shape() == Shape{2, 1, 1, 1});
  CHECK(y.value().data<float>()[0] == 2);
  CHECK(y.value().data<float>()[1] == 0);
  CHECK(roi_align(ctx, {x}, rois.slice(0, 1), {}, config).shape() == Shape{2, 1, 1, 1});
}

TEST_CASE("roi_align: errors name the arguments that do not fit") {
  Context ctx;
  const Var x(ctx.zeros({2, 4, 5, 3})), coarse(ctx.zeros({2, 2, 3, 3}));
  const Tensor rois = ctx.zeros({2, 7, 4}), count = ctx.zeros({2}, DType::i32);
  RoiAlignConfig good{.scales = {0.25f, 0.125f}};
  CHECK_NOTHROW(roi_align(ctx, {x, coarse}, rois, count, good));
  const auto fails = [&](const char* with, const std::vector<Var>& levels, const Tensor& boxes,
                         const Tensor& valid, const RoiAlignConfig& config) {
    CHECK_THROWS_WITH_AS(roi_align(ctx, levels, boxes, valid, config), doctest::Contains(with), Error);
  };
  fails("found 0 levels, expected 1 to 6", {}, rois, count, good);
  fails("found 2 scales for 1 levels", {x}, rois, count, good);
  fails("level 1 is f32 (2, 2, 3, 4), level 0 is f32 (2, 4, 5, 3)", {x, Var(ctx.zeros({2, 2, 3, 4}))}, rois,
        count, good);
  fails("level 1 is f64", {x, Var(ctx.zeros({2, 2, 3, 3}, DType::f64))}, rois, count, good);
  fails("level 0 is f32 (1, 4, 5, 3), expected (2, h, w, C)", {Var(ctx.zeros({1, 4, 5, 3})), coarse}, rois,
        count, good);
  fails("level 1 is undefined", {x, Var()}, rois, count, good);
  fails("with at least one pixel", {x, Var(ctx.zeros({2, 0, 3, 3}))}, rois, count, good);
  fails("rois is f32 (2, 7, 5), expected f32 (N, R, 4)", {x, coarse}, ctx.zeros({2, 7, 5}), count, good);
  fails("rois is undefined", {x, coarse}, {}, count, good);
  fails("count is i32 (3), expected i32 (2)", {x, coarse}, rois, ctx.zeros({3}, DType::i32), good);
  fails("count is f32 (2)", {x, coarse}, rois, ctx.zeros({2}), good);
  auto bad = good;
  bad.sampling = -1;
  fails("sampling is -1", {x, coarse}, rois, count, bad);
  bad = good;
  bad.height = 0;
  fails("found 0 x 7 bins", {x, coarse}, rois, count, bad);
  bad = good;
  bad.scales[1] = 0;
  fails("scale 1 is 0", {x, coarse}, rois, count, bad);
  bad = good;
  bad.canonical_size = 0;
  fails("canonical size is 0", {x, coarse}, rois, count, bad);
}

}  // namespace rcnn
