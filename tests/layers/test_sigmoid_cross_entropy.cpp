#include "layers/sigmoid_cross_entropy.h"
#include "tests/layers/gradcheck.h"

namespace rcnn {

TEST_CASE("sigmoid_cross_entropy: gradients of all levels agree with central differences") {
  const Var first = random_leaf({2, 2, 2, 1}, 1), second = random_leaf({2, 1}, 2);
  const Tensor labels = Tensor::of<int32_t>({2, 5}, {1, 0, -1, 1, 0, -1, -1, 1, 0, 1});
  gradcheck(
      [&](Context& ctx) {
        return sigmoid_cross_entropy(ctx, {first, second}, labels);
      },
      {first, second});
  // One level does not require a gradient.
  gradcheck(
      [&](Context& ctx) {
        return sigmoid_cross_entropy(ctx, {first.detach(), second}, labels);
      },
      {second});
}

TEST_CASE("sigmoid_cross_entropy: the loss of no images is 0, and levels that do not fit are errors") {
  Context ctx;
  const Tensor none = Tensor::empty({0, 5}, DType::i32);
  CHECK(sigmoid_cross_entropy(ctx, {Tensor::empty({0, 5}, DType::f32)}, none).value().item<float>() == 0);
  CHECK_THROWS_WITH_AS(
      sigmoid_cross_entropy(ctx, {random_leaf({2, 3}, 1)}, Tensor::zeros({2, 4}, DType::i32)),
      "sigmoid_cross_entropy: 6 logits in all levels, but labels (2, 4)", Error);
  CHECK_THROWS_WITH_AS(sigmoid_cross_entropy(ctx, {}, none),
                       "sigmoid_cross_entropy: expected 1 to 6 levels, found 0", Error);
}

}  // namespace rcnn
