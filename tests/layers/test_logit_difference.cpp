#include "layers/logit_difference.h"

#include "kernels/elementwise/logit_difference_cases.h"
#include "layers/softmax.h"
#include "tests/layers/gradcheck.h"

namespace rcnn {

TEST_CASE("logit_difference: gradients agree with central differences") {
  for (const auto& c : kernels::logit_difference_cases()) {
    if (c.rows * c.a == 0) continue;
    const Var x = random_leaf({c.rows, 2 * c.a}, 1);
    gradcheck([&](Context& ctx) { return logit_difference(ctx, x); }, {x});
  }
}

TEST_CASE("logit_difference: its sigmoid is the softmax over background and object") {
  Context ctx;
  const Tensor x = random_leaf({2, 3, 5, 8}, 1).value();
  const Tensor y = logit_difference(ctx, x).value();
  CHECK(y.shape() == Shape{2, 3, 5, 4});
  for (int64_t i = 0; i < y.numel(); ++i) {
    const double* scores = x.data<double>() + i / 4 * 8 + i % 4;
    const Tensor pair = Tensor::of<double>({1, 2}, {scores[0], scores[4]});
    const double object = softmax(ctx, pair).data<double>()[1];
    CHECK(std::fabs(1 / (1 + std::exp(-y.data<double>()[i])) - object) <= 1e-12);
  }
}

TEST_CASE("logit_difference: halves the last dimension, which must be even") {
  Context ctx;
  CHECK(logit_difference(ctx, Tensor::empty({0, 4, 4, 18}, DType::f32)).shape() == Shape{0, 4, 4, 9});
  CHECK(logit_difference(ctx, Tensor::empty({2, 0}, DType::f32)).shape() == Shape{2, 0});
  CHECK_THROWS_AS(logit_difference(ctx, Tensor::empty({2, 3}, DType::f32)), Error);
  CHECK_THROWS_AS(logit_difference(ctx, Tensor::empty({}, DType::f32)), Error);
}

}  // namespace rcnn
