#include "kernels/spatial/average_pool_cases.h"
#include "layers/average_pool.h"
#include "tests/layers/gradcheck.h"

namespace rcnn {

TEST_CASE("average_pool: computes the mean over each map") {
  Context ctx;
  const Var x(Tensor::of<float>({2, 1, 2, 2}, {1, 10, 3, 30, -1, 0, 2, 5}));
  const Tensor y = average_pool(ctx, x).value();
  CHECK(y.shape() == Shape{2, 2});
  CHECK(std::vector<float>(y.values<float>().begin(), y.values<float>().end()) ==
        std::vector<float>{2, 20, 0.5f, 2.5f});
}

TEST_CASE("average_pool: gradients agree with central differences") {
  for (const auto& c : kernels::average_pool_cases()) {
    if (c.n == 0) continue;
    const Var x = random_leaf({c.n, c.p, 1, c.c}, 1);
    gradcheck([&](Context& ctx) { return average_pool(ctx, x); }, {x});
  }
}

TEST_CASE("average_pool: a map without pixels is an error") {
  Context ctx;
  CHECK_THROWS_AS(average_pool(ctx, Var(Tensor::zeros({1, 0, 3, 2}, DType::f32))), Error);
}

}  // namespace rcnn
