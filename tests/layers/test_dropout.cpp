#include "layers/dropout.h"
#include "tests/layers/gradcheck.h"

namespace rcnn {

TEST_CASE("dropout: gradients agree with central differences") {
  const Var x = random_leaf({3, 7, 5}, 1);
  for (const float p : {0.5f, 0.3f}) gradcheck([&](Context& ctx) { return dropout(ctx, x, p, 4); }, {x});
}

TEST_CASE("dropout: returns x itself if nothing is to be dropped") {
  const Var x = random_leaf({2, 3}, 1);
  Context ctx;
  ctx.grad = true;
  CHECK(dropout(ctx, x, 0.5f, 0).value().raw() == x.value().raw());  // not training
  ctx.training = true;
  CHECK(dropout(ctx, x, 0, 0).value().raw() == x.value().raw());
  CHECK(dropout(ctx, x, 0.5f, 0).value().raw() != x.value().raw());
  CHECK(dropout(ctx, Tensor::empty({0, 5}, DType::f32), 0.5f, 0).shape() == Shape{0, 5});
}

TEST_CASE("dropout: drops the given fraction of elements and preserves the mean") {
  constexpr int64_t kCount = 100000;
  Tensor ones = Tensor::empty({kCount}, DType::f32);
  ones.fill(1);
  Context ctx;
  ctx.training = true;
  const auto values_of = [&](float p, uint32_t layer) {
    const Tensor y = dropout(ctx, ones, p, layer).value();
    return std::vector<float>(y.values<float>().begin(), y.values<float>().end());
  };
  for (const float p : {0.1f, 0.5f, 0.8f}) {
    double dropped = 0, sum = 0;
    for (const float value : values_of(p, 0)) {
      dropped += value == 0;
      sum += static_cast<double>(value);
    }
    // Within four standard deviations for this number of draws.
    const double chance = static_cast<double>(p), deviation = std::sqrt(chance * (1 - chance) / kCount);
    CHECK(std::fabs(dropped / kCount - chance) <= 4 * deviation);
    CHECK(std::fabs(sum / kCount - 1) <= 4 * deviation / (1 - chance));
  }
  // The same call drops the same elements; another layer, micro-batch, step or seed drops others.
  const auto first = values_of(0.5f, 0);
  CHECK(values_of(0.5f, 0) == first);
  CHECK(values_of(0.5f, 1) != first);
  ctx.micro_batch = 1;
  CHECK(values_of(0.5f, 0) != first);
  ctx.micro_batch = 0;
  ctx.step.fill(1);
  CHECK(values_of(0.5f, 0) != first);
  ctx.step.fill(0);
  CHECK(values_of(0.5f, 0) == first);
  ctx.seed = 2;
  CHECK(values_of(0.5f, 0) != first);
}

TEST_CASE("dropout: a wrong probability is an error, and so is a step that changes before backward") {
  Context ctx;
  const Var x = random_leaf({2, 3}, 1);
  for (const float p : {1.0f, -0.1f, std::nanf("")}) CHECK_THROWS_AS(dropout(ctx, x, p, 0), Error);

  // If the next step began before backward of this one, backward would drop other elements than forward.
  ctx.training = ctx.grad = true;
  const Var one = random_leaf({1}, 2);
  const Var y = dropout(ctx, one, 0.5f, 0);
  ctx.step.fill(1);
  CHECK_THROWS_AS(backward(ctx, y), Error);
}

}  // namespace rcnn
