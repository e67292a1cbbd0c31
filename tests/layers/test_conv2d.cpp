#include "kernels/gemm/conv2d_cases.h"
#include "layers/conv2d.h"
#include "tests/layers/gradcheck.h"

namespace rcnn {

TEST_CASE("conv2d: gradients of x, w, bias and residual agree with central differences") {
  for (const kernels::Conv2dCase& c : kernels::conv2d_cases()) {
    const kernels::Conv2dShape& s = c.shape;
    if (s.n == 0) continue;
    const Var x = random_leaf({s.n, s.h, s.w, s.c}, 1), w = random_leaf({s.k, s.r, s.s, s.c}, 2);
    ConvEpilogue epilogue;
    epilogue.relu = c.relu;
    std::vector<Var> leaves{x, w};
    if (c.scale) epilogue.scale = random_leaf({s.k}, 3).value();
    if (c.bias) leaves.push_back(epilogue.bias = random_leaf({s.k}, 4));
    if (c.residual) leaves.push_back(epilogue.residual = random_leaf({s.n, s.oh(), s.ow(), s.k}, 5));
    gradcheck(
        [&](Context& ctx) {
          return conv2d(ctx, x, w, {s.stride, s.pad, s.dilation}, epilogue);
        },
        leaves, {.max_elements = 25});
  }
}

TEST_CASE("conv2d: without a gradient, the result takes the memory of a residual that nothing else holds") {
  Context ctx;
  const Var x(Tensor::of<float>({1, 1, 2, 1}, {1, 2})),
      w = Var::parameter(Tensor::of<float>({1, 1, 1, 1}, {10}));
  const auto add_to = [&](Var residual) {
    return conv2d(ctx, x, w, {}, {.scale = {}, .bias = {}, .residual = std::move(residual)});
  };
  const auto values = [](const Var& y) {
    return std::vector<float>(y.value().values<float>().begin(), y.value().values<float>().end());
  };
  const auto make = [] { return Var(Tensor::of<float>({1, 1, 2, 1}, {5, 7})); };

  Var residual = make();
  const void* memory = residual.value().raw();
  Var y = add_to(std::move(residual));
  CHECK(y.value().raw() == memory);
  CHECK(values(y) == std::vector<float>{15, 27});

  residual = make();
  const Var view(residual.value().reshape({2}));
  y = add_to(std::move(residual));
  CHECK(values(y) == std::vector<float>{15, 27});
  CHECK(values(view) == std::vector<float>{5, 7});

  ctx.grad = true;
  residual = make();
  memory = residual.value().raw();
  y = add_to(std::move(residual));
  CHECK(y.value().raw() != memory);
  CHECK(values(y) == std::vector<float>{15, 27});
}

TEST_CASE("conv2d: backward fails if a saved tensor has changed") {
  Context ctx;
  ctx.grad = true;
  const Var x = random_leaf({1, 3, 3, 1}, 1), w = random_leaf({1, 3, 3, 1}, 2);
  const Var y = conv2d(ctx, x, w, {});
  w.value().mutable_data<double>()[0] += 1;
  CHECK_THROWS_WITH_AS(backward(ctx, y), doctest::Contains("changed after the forward pass"), Error);
}

TEST_CASE("conv2d: errors name the shapes that do not fit") {
  Context ctx;
  const Var x(Tensor::zeros({1, 4, 4, 3}, DType::f32)), w(Tensor::zeros({8, 3, 3, 4}, DType::f32));
  CHECK_THROWS_WITH_AS(conv2d(ctx, x, w, {}), doctest::Contains("(1, 4, 4, 3)"), Error);
  const Var large(Tensor::zeros({8, 5, 5, 3}, DType::f32));
  CHECK_THROWS_WITH_AS(conv2d(ctx, x, large, {}), doctest::Contains("too small"), Error);
}

}  // namespace rcnn
