#include "kernels/spatial/max_pool_cases.h"
#include "layers/max_pool.h"
#include "tests/layers/gradcheck.h"

namespace rcnn {

TEST_CASE("max_pool: gradients agree with central differences") {
  for (const kernels::MaxPoolCase& c : kernels::max_pool_cases()) {
    if (c.n == 0) continue;
    const Var x = random_leaf({c.n, c.h, c.w, c.c}, 1);
    gradcheck([&](Context& ctx) { return max_pool(ctx, x, c.kernel, c.stride, c.pad, c.ceil_mode); }, {x});
  }
}

TEST_CASE("max_pool: the output has the right shape, and errors name the arguments that do not fit") {
  Context ctx;
  const Var x(ctx.zeros({2, 7, 8, 3}));
  CHECK(max_pool(ctx, x, 3, 2, 1).shape() == Shape{2, 4, 4, 3});
  CHECK_THROWS_WITH_AS(max_pool(ctx, Var(ctx.zeros({7, 8, 3})), 2, 2, 0),
                       "max_pool: x is (7, 8, 3), expected (N, H, W, C)", Error);
  CHECK_THROWS_WITH_AS(max_pool(ctx, x, 2, 0, 0), doctest::Contains("stride 0"), Error);
  CHECK_THROWS_WITH_AS(max_pool(ctx, x, 3, 2, 2), doctest::Contains("pad 2 do not fit"), Error);
  CHECK_THROWS_WITH_AS(max_pool(ctx, x, 8, 1, 0), doctest::Contains("smaller than the kernel of 8"), Error);
}

}  // namespace rcnn
