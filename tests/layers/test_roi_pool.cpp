#include "kernels/roi/roi_pool_cases.h"
#include "layers/roi_pool.h"
#include "tests/layers/gradcheck.h"

namespace rcnn {

TEST_CASE("roi_pool: gradients agree with central differences") {
  for (const kernels::RoiCase& c : kernels::roi_pool_cases()) {
    if (c.n == 0 || c.r == 0 || c.c > 5) continue;  // all channels are treated alike
    std::vector<Tensor> keep;
    kernels::Filler fill(3, kernels::Fill::normal);
    const kernels::RoiLevels a = kernels::make_roi_levels(c, fill, keep);
    const Tensor rois = keep[0], count = c.counted ? keep[1] : Tensor();
    RoiPoolConfig config;
    config.height = c.ph;
    config.width = c.pw;
    config.scales.assign(a.scale, a.scale + a.levels);
    config.canonical_size = a.canonical_size;
    config.canonical_level = a.canonical_level;
    std::vector<Var> levels;
    for (int l = 0; l < a.levels; ++l)
      levels.push_back(random_leaf(kernels::level_shape(a, l), static_cast<uint64_t>(l + 1)));
    gradcheck([&](Context& ctx) { return roi_pool(ctx, levels, rois, count, config); }, levels,
              {.max_elements = 12});
  }
}

TEST_CASE("roi_pool: the output of padding rows is 0, and arguments that do not fit are errors") {
  Context ctx;
  const Var x(Tensor::of<float>({1, 1, 2, 1}, {1, 3}));
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor rois = Tensor::of<float>({1, 2, 4}, {0, 0, 1, 0, nan, nan, nan, nan});
  RoiPoolConfig config{.height = 1, .width = 2, .scales = {1}};
  const Var y = roi_pool(ctx, {x}, rois, Tensor::of<int32_t>({1}, {1}), config);
  CHECK(y.shape() == Shape{2, 1, 2, 1});
  const float expected[] = {1, 3, 0, 0};
  for (int i = 0; i < 4; ++i) CHECK(y.value().data<float>()[i] == expected[i]);
  CHECK_THROWS_WITH_AS(roi_pool(ctx, {x}, rois, ctx.zeros({1}), config),
                       "roi_pool: count is f32 (1), expected i32 (1)", Error);
}

}  // namespace rcnn
