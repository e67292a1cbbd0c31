#include "kernels/norm/batch_norm.h"
#include "layers/batch_norm.h"
#include "tests/layers/gradcheck.h"

namespace rcnn {
namespace {

BatchNorm batch_norm_of(int64_t c) {
  BatchNorm p;
  p.weight = random_leaf({c}, 11);
  p.bias = random_leaf({c}, 12);
  p.running_mean = random_leaf({c}, 13).value();
  p.running_var = Tensor::empty({c}, DType::f64);
  for (int64_t i = 0; i < c; ++i) p.running_var.mutable_data<double>()[i] = 0.5 + static_cast<double>(i);
  return p;
}

}  // namespace

TEST_CASE("batch_norm: gradients agree with central differences") {
  const Var x = random_leaf({2, 3, 2, 3}, 1), residual = random_leaf({2, 3, 2, 3}, 2);
  BatchNorm p = batch_norm_of(3);
  for (const bool relu : {false, true}) {
    CAPTURE(relu);
    gradcheck([&](Context& ctx) { return batch_norm(ctx, x, p, residual, relu); },
              {x, p.weight, p.bias, residual});
    gradcheck([&](Context& ctx) { return batch_norm(ctx, x, p, {}, relu); }, {x, p.weight, p.bias});
  }
  p.weight = p.weight.detach();
  p.bias = p.bias.detach();
  gradcheck([&](Context& ctx) { return batch_norm(ctx, x, p, {}, true); }, {x});
}

TEST_CASE("batch_norm: training updates the running statistics, and folding uses them") {
  BatchNorm p;
  p.weight = Tensor::of<float>({1}, {2});
  p.bias = Tensor::of<float>({1}, {1});
  p.running_mean = Tensor::of<float>({1}, {0});
  p.running_var = Tensor::of<float>({1}, {1});
  const Tensor x = Tensor::of<float>({4, 1}, {1, 2, 3, 4});
  Context ctx;
  ctx.training = true;
  for (int i = 0; i < 2; ++i) batch_norm(ctx, x, p);
  CHECK(p.running_mean.item<float>() == doctest::Approx(0.475));  // .9 (.9 0 + .25) + .25
  CHECK(p.running_var.item<float>() == doctest::Approx(0.81 + 0.19 * 5 / 3));
  const FoldedBatchNorm folded = fold_batch_norm(ctx, p);
  const double deviation = std::sqrt(0.81 + 0.19 * 5 / 3 + 1e-5);
  CHECK(folded.scale.item<float>() == doctest::Approx(2 / deviation));
  CHECK(folded.shift.item<float>() == doctest::Approx(1 - 2 * 0.475 / deviation));
  CHECK(p.running_mean.item<float>() == doctest::Approx(0.475));
}

TEST_CASE("batch_norm: a call outside training is an error that says what to do instead") {
  BatchNorm p = batch_norm_of(3);
  Context ctx;
  CHECK_THROWS_WITH_AS(
      batch_norm(ctx, random_leaf({5, 3}, 4), p),
      "batch_norm uses the statistics of the batch, which is for training only: in evaluation use "
      "fold_batch_norm, which gives the running statistics to the epilogue of the convolution",
      Error);
}

TEST_CASE("fold_batch_norm: the scale and the shift are the normalisation by the running statistics") {
  const BatchNorm p = batch_norm_of(3);
  const Tensor x = random_leaf({5, 3}, 4).value();
  Context ctx;
  const FoldedBatchNorm folded = fold_batch_norm(ctx, p);
  for (int64_t i = 0; i < x.numel(); ++i) {
    const int64_t c = i % 3;
    const auto of_channel = [&](const Tensor& t) { return t.data<double>()[c]; };
    const double normalised = (x.data<double>()[i] - of_channel(p.running_mean)) /
                              std::sqrt(of_channel(p.running_var) + static_cast<double>(p.eps));
    const double expected = of_channel(p.weight.value()) * normalised + of_channel(p.bias.value());
    const double found = of_channel(folded.scale) * x.data<double>()[i] + of_channel(folded.shift);
    CHECK(std::fabs(found - expected) <= 1e-12);
  }
}

TEST_CASE("batch_norm: an empty batch has an empty output") {
  const Var x = Var::parameter(Tensor::empty({0, 2, 2, 3}, DType::f64));
  BatchNorm p = batch_norm_of(3);
  Context ctx;
  ctx.training = ctx.grad = true;
  const Var y = batch_norm(ctx, x, p, {}, true);
  CHECK(y.shape() == x.shape());
}

TEST_CASE("batch_norm: errors name the shapes that do not fit") {
  BatchNorm p = batch_norm_of(3);
  const Var x = random_leaf({2, 2, 2, 4}, 1), fits = random_leaf({2, 3}, 1),
            residual = random_leaf({3, 3}, 2);
  Context ctx;
  CHECK_THROWS_WITH_AS(batch_norm(ctx, x, p),
                       "batch_norm: x (2, 2, 2, 4) needs weight, bias, running_mean and running_var of shape "
                       "(4), found (3), (3), (3) and (3)",
                       Error);
  CHECK_THROWS_WITH_AS(batch_norm(ctx, fits, p, residual),
                       "batch_norm: the residual has shape (3, 3), expected that of x, (2, 3)", Error);
  CHECK_THROWS_WITH_AS(batch_norm(ctx, fits, p, fits), "batch_norm: residual and x must not share memory",
                       Error);
}

}  // namespace rcnn
