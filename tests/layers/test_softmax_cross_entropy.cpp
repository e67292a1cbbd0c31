#include "layers/softmax_cross_entropy.h"
#include "tests/layers/gradcheck.h"

namespace rcnn {

TEST_CASE("softmax_cross_entropy: gradients agree with central differences") {
  const Var logits = random_leaf({2, 3, 4}, 1);
  const Tensor labels = Tensor::of<int32_t>({2, 3}, {0, -1, 3, 2, 2, -1});
  gradcheck([&](Context& ctx) { return softmax_cross_entropy(ctx, logits, labels); }, {logits});
}

TEST_CASE("softmax_cross_entropy: the loss of no rows is 0, and shapes that do not fit are errors") {
  Context ctx;
  const Tensor none = Tensor::empty({0}, DType::i32);
  CHECK(softmax_cross_entropy(ctx, Tensor::empty({0, 4}, DType::f32), none).value().item<float>() == 0);
  CHECK_THROWS_WITH_AS(
      softmax_cross_entropy(ctx, random_leaf({2, 4}, 1), Tensor::of<int32_t>({3}, {0, 1, 2})),
      "softmax_cross_entropy: logits (2, 4) and labels (3) do not fit: expected (..., C) and "
      "one label per row",
      Error);
}

}  // namespace rcnn
