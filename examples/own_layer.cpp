// How to write a differentiable layer of one's own: Swish with a learned slope for each channel,
//
//     y = x sigmoid(beta x)        (Ramachandran et al., "Searching for Activation Functions", 2017)
//
// and how to check its gradients. docs/own-layer.md explains it line by line.
//
//     make build/release/examples/own_layer && build/release/examples/own_layer
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "layers/linear.h"  // the loss of the check is a linear layer with one output
#include "layers/module.h"  // how a module shows its parameters

using namespace rcnn;

template <class T>
T sigmoid(T x) {
  return 1 / (1 + std::exp(-x));
}

/// What one call of the layer leaves behind: the tensors that backward needs, and backward itself.
struct SwishNode : Node {
  Saved x, beta;
  const char* name() const override { return "swish"; }

  void backward(Context& ctx) override {
    // In the order of the inputs in `record`. A target is empty when that input needs no gradient.
    const GradientTarget dx = target(ctx, 0), dbeta = target(ctx, 1);
    visit_float(output_gradient().dtype(), name(), [&](auto zero) {
      using T = decltype(zero);
      const T *xs = x.get().data<T>(), *betas = beta.get().data<T>(), *dy = output_gradient().data<T>();
      T *to_x = dx.data<T>(), *to_beta = dbeta.data<T>();
      const int64_t count = x.get().numel(), channels = beta.get().numel();
      // `no`: nothing was written there before, not even a zero. `yes`: add to what is there.
      if (dbeta && dbeta.accumulate == Accumulate::no) dbeta.value.fill(0);
      for (int64_t i = 0; i < count; ++i) {
        const T b = betas[i % channels], s = sigmoid(b * xs[i]), slope = s * (1 - s);
        const T gradient = dy[i] * (s + b * xs[i] * slope);  // dL/dx = dL/dy dy/dx
        if (dx) to_x[i] = dx.accumulate == Accumulate::yes ? to_x[i] + gradient : gradient;
        if (dbeta) to_beta[i % channels] += dy[i] * xs[i] * xs[i] * slope;  // summed over all pixels
      }
    });
  }
};

/// x (..., C), beta (C) -> x sigmoid(beta x), of x's shape. Saved for backward: x and beta.
Var swish(Context& ctx, const Var& x, const Var& beta) {
  check(x.shape().rank() >= 1 && beta.shape() == Shape{x.dim(-1)},
        "swish: x {} and beta {} do not fit: expected (..., C) and (C)", x.shape().str(), beta.shape().str());
  check(ctx.device.type == DeviceType::cpu, "swish: runs on the cpu alone, not on {}", ctx.device.str());
  const Tensor y = ctx.empty(x.shape(), x.dtype());
  visit_float(x.dtype(), "swish", [&](auto zero) {
    using T = decltype(zero);
    const T *xs = x.value().data<T>(), *betas = beta.value().data<T>();
    T* to = y.mutable_data<T>();
    for (int64_t i = 0; i < y.numel(); ++i) to[i] = xs[i] * sigmoid(betas[i % beta.dim(0)] * xs[i]);
  });
  if (!wants_gradient(ctx, {&x, &beta})) return Var(y);  // inference: nothing is kept
  auto node = std::make_shared<SwishNode>();
  node->x = x.value();
  node->beta = beta.value();
  return record(ctx, node, {&x, &beta}, y);
}

/// The layer as a module: the optimiser, checkpoints and the summary find `beta` through `visit`.
struct Swish {
  Var beta;
  Var operator()(Context& ctx, const Var& x) const { return swish(ctx, x, beta); }
  void visit(ParamVisitor& visitor) { visitor.parameter("beta", beta); }
};

int main() {
  Init init(1, DType::f64);  // in double, where rounding does not hide a small mistake
  const Var x = init.normal({2, 3, 5, 4}, 2), weights = init.normal({1, 120}, 1);
  const Swish layer{init.normal({4}, 1)};
  const auto loss = [&](Context& ctx) {  // the sum of all outputs, each with its own weight
    return linear(ctx, reshape(ctx, layer(ctx, x), {1, -1}), weights, Var());
  };
  const auto evaluate = [&] {
    Context ctx;
    return loss(ctx).value().item<double>();
  };

  Context ctx;
  ctx.grad = true;
  for (int pass = 0; pass < 2; ++pass) backward(ctx, loss(ctx));  // the first one writes, the second one adds

  constexpr double kStep = 1e-6, kTolerance = 1e-6;
  double largest_error = 0;
  bool right = true;
  for (const Var& leaf : {x, layer.beta})
    for (int64_t i = 0; i < leaf.value().numel(); ++i) {
      double& value = leaf.value().mutable_data<double>()[i];
      const double original = value, gradient = leaf.gradient().data<double>()[i] / 2;
      value = original + kStep;
      const double above = evaluate();
      value = original - kStep;
      const double below = evaluate();
      value = original;
      const double error = std::fabs((above - below) / (2 * kStep) - gradient);
      largest_error = std::max(largest_error, error);
      right = right && error <= kTolerance;  // false for a NaN, which std::max would pass over
    }
  fmt::print("largest difference between backward and central differences: {:.1e}\n", largest_error);
  return right ? 0 : 1;
}
