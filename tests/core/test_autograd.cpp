#include <doctest/doctest.h>

#include "core/autograd.h"
#include "layers/linear.h"
#include "layers/sum.h"

namespace rcnn {
namespace {

Var leaf(double value) { return Var::parameter(Tensor::of<double>({1, 1}, {value})); }

}  // namespace

TEST_CASE("backward reaches leaves through values that no longer exist") {
  Context ctx;
  ctx.grad = true;
  const Var a = leaf(3), b = leaf(5);
  Var loss;
  {
    const Var product = linear(ctx, linear(ctx, a, b, {}), b, {});  // a b^2
    loss = weighted_sum(ctx, {product}, {1});
  }
  backward(ctx, loss);
  CHECK(a.gradient().item<double>() == 25);
  CHECK(b.gradient().item<double>() == 30);
}

TEST_CASE("gradients add up over passes until they are cleared") {
  Context ctx;
  ctx.grad = true;
  const Var a = leaf(3), b = leaf(5);
  for (int pass = 1; pass <= 2; ++pass) {
    backward(ctx, linear(ctx, a, b, {}));
    CHECK(a.gradient().item<double>() == 5 * pass);
  }
  a.clear_gradient();
  CHECK_FALSE(a.has_gradient());
  backward(ctx, linear(ctx, a, b, {}));
  CHECK(a.gradient().item<double>() == 5);
}

TEST_CASE("constants, and values that the loss does not depend on, get no gradient") {
  Context ctx;
  ctx.grad = true;
  const Var a = leaf(3), unused = leaf(7), constant(Tensor::of<double>({1, 1}, {2}));
  linear(ctx, unused, constant, {});
  backward(ctx, linear(ctx, a, constant, {}));
  CHECK(a.gradient().item<double>() == 2);
  CHECK_FALSE(unused.has_gradient());
  CHECK_THROWS_WITH_AS(unused.gradient(), doctest::Contains("no gradient"), Error);
  CHECK_THROWS_WITH_AS(backward(ctx, linear(ctx, constant, constant, {})), doctest::Contains("no parameter"),
                       Error);
}

TEST_CASE("with gradients off nothing is recorded") {
  Context ctx;
  CHECK_FALSE(linear(ctx, leaf(1), leaf(2), {}).requires_grad());
}

}  // namespace rcnn
