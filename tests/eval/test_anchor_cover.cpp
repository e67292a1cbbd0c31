// The best anchor of a box, compared with all anchors of the region proposal network itself.
#include "eval/anchor_cover.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "core/rng.h"
#include "kernels/boxes/box_math.h"
#include "models/rpn.h"

using namespace rcnn;

namespace {

/// All anchors of the network for a batch of this size.
Tensor anchors_of_model(const ModelConfig& config, const std::vector<int64_t>& strides, int64_t height,
                        int64_t width) {
  Context ctx;
  ctx.grad = false;
  const auto a_cell = static_cast<int64_t>(config.anchor_sizes[0].size() * config.anchor_ratios[0].size());
  Init init(1);
  const Rpn rpn = Rpn::make(init, config, 2, a_cell);
  const auto up = [&](int64_t side, int64_t unit) { return (side + unit - 1) / unit; };
  const int64_t h = up(height, config.size_divisible) * config.size_divisible;
  const int64_t w = up(width, config.size_divisible) * config.size_divisible;
  std::vector<Var> maps;
  for (const int64_t stride : strides)
    maps.emplace_back(Tensor::zeros({1, up(h, stride), up(w, stride), 2}, DType::f32));
  return rpn_forward(ctx, rpn, config, maps, {1, h, w, 3}).anchors;
}

float best_of_all(const Box& box, const Tensor& anchors) {
  float best = 0;
  for (int64_t i = 0; i < anchors.dim(0); ++i)
    best = std::max(best, kernels::iou(box, kernels::load_box(anchors.data<float>() + i * 4)));
  return best;
}

void compare(const ModelConfig& config, const std::vector<int64_t>& strides, int64_t height, int64_t width) {
  const AnchorCover cover(config, strides);
  const Tensor anchors = anchors_of_model(config, strides, height, width);
  RandomSequence random(1, Purpose::test, 3);
  const auto h = static_cast<float>(height), w = static_cast<float>(width);
  for (int trial = 0; trial < 300; ++trial) {
    // Tall and wide boxes, tiny boxes, boxes at the border and boxes as large as the image.
    const float bw = std::max(0.5f, std::pow(random.uniform(), 3.0f) * w),
                bh = std::max(0.5f, random.uniform() * h);
    const float x = trial % 5 == 0 ? 0 : random.uniform() * (w - bw),
                y = trial % 7 == 0 ? h - bh : random.uniform() * (h - bh);
    const Box box{x, y, x + bw, y + bh};
    const float all = best_of_all(box, anchors), found = cover.best_overlap(box, height, width);
    CAPTURE(trial);
    CHECK(std::fabs(found - all) <= 1e-5f * all);
  }
}

}  // namespace

TEST_CASE("anchor cover: the best overlap is that of the best of all anchors") {
  const ModelConfig nano = model_config("nano-fpn");
  compare(nano, {4, 8, 16}, 64, 96);
  compare(nano, {4, 8, 16}, 53, 37);  // padded
  ModelConfig one_level = nano;
  one_level.anchor_sizes = {{9, 20, 33}};
  one_level.anchor_ratios = {{0.3f, 1, 4}};
  compare(one_level, {16}, 70, 50);
  ModelConfig uneven = nano;  // 96 pixels are covered by 2 cells of stride 64, which are 48 pixels apart
  uneven.size_divisible = 32;
  uneven.anchor_sizes = {{16}, {64}};
  compare(uneven, {32, 64}, 96, 160);
}

TEST_CASE("anchor cover: ratios for each level are refused, since all levels share one list") {
  ModelConfig config = model_config("nano-fpn");
  config.anchor_ratios = {{1, 2}, {1}};
  CHECK_THROWS_WITH_AS(AnchorCover(config, {4, 8, 16}),
                       "anchor-ratios: expected one list for all levels, found 2", InputError);
}

TEST_CASE("anchor cover: overlaps worked out by hand") {
  ModelConfig config = model_config("nano-fpn");
  config.short_side = 64;
  config.long_side = 128;
  config.anchor_sizes = {{16}};
  config.anchor_ratios = {{1}};
  const AnchorCover cover(config, {16});
  CHECK(cover.best_overlap({8, 8, 24, 24}, 64, 64) == 1);                            // an anchor itself
  CHECK(cover.best_overlap({12, 8, 28, 24}, 64, 64) == doctest::Approx(12.0 / 20));  // shifted by a quarter
  // A box beyond the last anchor, and one that contains the last anchor.
  CHECK(cover.best_overlap({56, 56, 64, 64}, 64, 64) == doctest::Approx(0.0));
  CHECK(cover.best_overlap({40, 40, 64, 64}, 64, 64) == doctest::Approx(256.0 / 576));

  // Each axis is scaled by its own ratio: 100 x 60 becomes 106 x 64.
  Dataset dataset;
  dataset.classes = {"a"};
  Sample sample;
  sample.width = 100, sample.height = 60;
  sample.objects = {{{0, 0, 50, 30}, 1}, {{0, 0, 9, 9}, 1, true}, {{0, 0, 9, 9}, 1, false, true}};
  dataset.samples = {sample};
  const std::vector<float> sizes = box_sizes(dataset, config);
  REQUIRE(sizes.size() == 1);  // difficult and crowd objects are left out
  CHECK(sizes[0] == doctest::Approx(std::sqrt(53.0 * 32.0)));
  CHECK(anchor_overlaps(dataset, config, {16}).size() == 1);

  CHECK(poorly_covered({}) == 0);
  CHECK(poorly_covered({0.1f, 0.49f, 0.5f, 0.9f}) == 0.5);
  CHECK_THROWS_AS(AnchorCover(config, {4, 8}), InputError);
}
