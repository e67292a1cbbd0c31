#include <doctest/doctest.h>

#include <fmt/ranges.h>
#include "core/autograd.h"

#include <string>

#include "layers/linear.h"
#include "layers/sum.h"

namespace rcnn {
namespace {

Var leaf(double value) { return Var::parameter(Tensor::of<double>({1, 1}, {value})); }

/// A layer that gives its input no gradient.
struct Blocking : Node {
  const char* name() const override { return "blocking"; }
  void backward(Context&) override {}
};

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

TEST_CASE("backward tells when the gradients of leaves are complete, and each of them once") {
  Context ctx;
  ctx.grad = true;
  const Var a = leaf(2), shared = leaf(3), blocked = leaf(5), unused = leaf(7), last = leaf(11);
  const Var stopped = record<Blocking>(ctx, {&blocked}, leaf(1).value(), [](Blocking&) {});
  const Var first = linear(ctx, a, shared, {});       // a s
  const Var second = linear(ctx, first, shared, {});  // a s^2
  const Var sum = weighted_sum(ctx, {second, stopped}, {1, 1});
  const Var loss = linear(ctx, reshape(ctx, sum, {1, 1}), last, {});  // l (a s^2 + 1)
  const std::vector<Var> leaves = {a, shared, blocked, unused, last};
  std::string told;
  std::vector<double> then(leaves.size(), -1);
  backward(ctx, loss, 2, leaves, [&](std::span<const size_t> complete) {
    told += fmt::format("{} ", complete);
    for (const size_t i : complete)
      if (leaves[i].has_gradient()) then[i] = leaves[i].gradient().item<double>();
  });
  // Before the first node; the last layer; the reshape; the sum; the second and the first use; the layer that
  // gives none.
  CHECK(told == "[3] [4] [] [] [] [0, 1] [2] ");
  CHECK(then == std::vector<double>{2 * 11 * 9, 2 * 11 * 2 * 2 * 3, -1, -1, 2 * 19});
  for (const size_t i : {size_t{0}, size_t{1}, size_t{4}})
    CHECK(then[i] == leaves[i].gradient().item<double>());
  CHECK_FALSE(blocked.has_gradient());
  CHECK_FALSE(unused.has_gradient());
}

TEST_CASE("backward follows parameters only, each once") {
  Context ctx;
  ctx.grad = true;
  const Var a = leaf(2), b = leaf(3), product = linear(ctx, a, b, {}), loss = linear(ctx, product, b, {});
  const auto follow = [&](const std::vector<Var>& leaves) {
    backward(ctx, loss, 1, leaves, [](std::span<const size_t>) {});
  };
  CHECK_THROWS_WITH_AS(follow({a, product}), "backward was to follow a value that is not a parameter", Error);
  CHECK_THROWS_WITH_AS(follow({a.detach()}), "backward was to follow a value that is not a parameter", Error);
  CHECK_THROWS_WITH_AS(follow({b, a, b}), "backward was to follow one parameter twice", Error);
  CHECK_FALSE(a.has_gradient());
}

TEST_CASE("with gradients off nothing is recorded") {
  Context ctx;
  CHECK_FALSE(linear(ctx, leaf(1), leaf(2), {}).requires_grad());
}

}  // namespace rcnn
