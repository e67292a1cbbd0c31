#include "layers/smooth_l1.h"
#include "tests/layers/gradcheck.h"

namespace rcnn {

TEST_CASE("smooth_l1: gradients agree with central differences, over levels and over columns") {
  const auto targets_of = [](int64_t rows) { return random_leaf({rows, 4}, 9).value().cast(DType::f32); };
  // As in the region proposal network: two levels of two images, with 4 and 1 boxes per image.
  const Var first = random_leaf({2, 2, 1, 8}, 1), second = random_leaf({2, 1, 4}, 2);
  const Tensor labels = Tensor::of<int32_t>({2, 5}, {1, 0, -1, 1, 1, -1, -1, 1, 0, 1});
  for (const float beta : {0.0f, 0.5f, 2.0f}) {
    CAPTURE(beta);
    gradcheck(
        [&](Context& ctx) {
          return smooth_l1(ctx, {first, second}, 1, targets_of(10), labels, beta);
        },
        {first, second});
    gradcheck(
        [&](Context& ctx) {
          return smooth_l1(ctx, {first.detach(), second}, 1, targets_of(10), labels, beta);
        },
        {second});
  }
  // As in the RoI head: five rows with one column per class, for three classes.
  const Var boxes = random_leaf({5, 12}, 3);
  const Tensor classes = Tensor::of<int32_t>({5}, {2, 0, 1, -1, 2});
  gradcheck([&](Context& ctx) { return smooth_l1(ctx, {boxes}, 3, targets_of(5), classes, 1.0f); }, {boxes});
}

TEST_CASE("smooth_l1: the loss of no rows is 0, and shapes that do not fit are errors") {
  Context ctx;
  const Tensor labels = Tensor::zeros({2, 3}, DType::i32), targets = Tensor::zeros({2, 3, 4}, DType::f32);
  CHECK(smooth_l1(ctx, {Tensor::empty({0, 12}, DType::f32)}, 3, Tensor::empty({0, 4}, DType::f32),
                  Tensor::empty({0}, DType::i32), 1)
            .value()
            .item<float>() == 0);
  CHECK_THROWS_WITH_AS(smooth_l1(ctx, {random_leaf({2, 8}, 1)}, 1, targets, labels, 1),
                       "smooth_l1: 16 predicted deltas in all levels, but labels (2, 3) and 1 columns",
                       Error);
  CHECK_THROWS_WITH_AS(smooth_l1(ctx, {random_leaf({2, 12}, 1)}, 1, targets.slice(0, 1), labels, 1),
                       "smooth_l1: targets (1, 3, 4) do not hold four deltas for each of the labels (2, 3)",
                       Error);
  CHECK_THROWS_AS(smooth_l1(ctx, {random_leaf({1, 16}, 1), random_leaf({2, 4}, 1)}, 1, targets, labels, 1),
                  Error);
}

}  // namespace rcnn
