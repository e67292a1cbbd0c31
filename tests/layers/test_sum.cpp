#include "layers/sum.h"
#include "tests/layers/gradcheck.h"

namespace rcnn {

TEST_CASE("weighted_sum: value and gradients are right if a term occurs twice or requires no gradient") {
  const Var a = random_leaf({}, 1), b = random_leaf({1}, 2);
  Context ctx;
  const double expected = 2 * a.value().item<double>() - 3 * b.value().item<double>();
  CHECK(weighted_sum(ctx, {a, b}, {2, -3}).value().item<double>() == doctest::Approx(expected));
  gradcheck([&](Context& c) { return weighted_sum(c, {a, b, a}, {2, -3, 0.5}); }, {a, b});
  gradcheck([&](Context& c) { return weighted_sum(c, {a, b.detach()}, {2, -3}); }, {a});
  CHECK_THROWS_AS(weighted_sum(ctx, {a, b}, {1}), Error);
  CHECK_THROWS_AS(weighted_sum(ctx, {random_leaf({2}, 1)}, {1}), Error);
}

}  // namespace rcnn
