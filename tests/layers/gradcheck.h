// Compares the gradients of a layer with central differences, in double precision.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "core/autograd.h"
#include "core/rng.h"

namespace rcnn {

/// A leaf that requires a gradient: a double tensor of normally distributed random numbers.
inline Var random_leaf(const Shape& shape, uint64_t seed) {
  RandomSequence random(seed, Purpose::test);
  Tensor tensor = Tensor::empty(shape, DType::f64);
  for (double& value : tensor.mutable_values<double>()) value = static_cast<double>(random.normal());
  return Var::parameter(tensor);
}

struct GradcheckOptions {
  double step = 1e-6;
  double tolerance = 1e-6;   // relative to max(1, the largest gradient of the leaf)
  size_t max_elements = 60;  // of a larger leaf, about this many elements are checked, evenly spread
};

/// Checks the gradients of `f` with respect to the leaves. `f` computes an output of any shape from the
/// leaves' current values. The output is multiplied by fixed random numbers and summed, so that every element
/// of it matters. Backward runs twice, so that adding to an existing gradient is checked as well.
inline void gradcheck(const std::function<Var(Context&)>& f, const std::vector<Var>& leaves,
                      const GradcheckOptions& options = {}) {
  struct WeightedSum : Node {
    Tensor weights;
    const char* name() const override { return "weighted_sum"; }
    void backward(Context& ctx) override {
      const GradientTarget dx = target(ctx, 0);
      const double dy = output_gradient().item<double>();
      for (int64_t i = 0; i < weights.numel(); ++i) {
        double& d = dx.value.mutable_data<double>()[i];
        d = (dx.accumulate == Accumulate::yes ? d : 0) + dy * weights.data<double>()[i];
      }
    }
  };
  const auto weigh = [](const Tensor& y) {
    Tensor weights = Tensor::empty(y.shape(), DType::f64);
    RandomSequence random(77, Purpose::test);
    for (double& w : weights.mutable_values<double>())
      w = static_cast<double>(random.uniform(0.5f, 1.5f)) * (random.below(2) ? 1 : -1);
    return weights;
  };
  const auto dot = [](const Tensor& y, const Tensor& w) {
    double sum = 0;
    for (int64_t i = 0; i < y.numel(); ++i) sum += y.data<double>()[i] * w.data<double>()[i];
    return sum;
  };
  const auto run_backward = [&] {
    Context ctx;
    ctx.grad = ctx.training = true;
    const Var y = f(ctx);
    auto node = std::make_shared<WeightedSum>();
    node->weights = weigh(y.value());
    Tensor sum = Tensor::of<double>({}, {dot(y.value(), node->weights)});
    backward(ctx, record(ctx, node, {&y}, sum));
  };
  const auto evaluate = [&] {
    Context ctx;
    ctx.training = true;
    const Var y = f(ctx);
    return dot(y.value(), weigh(y.value()));
  };
  for (const Var& leaf : leaves) leaf.clear_gradient();
  run_backward();
  std::vector<Tensor> once;
  for (const Var& leaf : leaves) once.push_back(leaf.gradient().clone());
  run_backward();  // adds a second contribution, so that every gradient doubles
  for (size_t l = 0; l < leaves.size(); ++l) {
    const Tensor& value = leaves[l].value();
    double largest = 1;
    for (double g : once[l].values<double>()) largest = std::max(largest, std::fabs(g));
    const int64_t count = value.numel(),
                  stride = std::max<int64_t>(1, count / static_cast<int64_t>(options.max_elements));
    for (int64_t i = 0; i < count; i += stride) {
      const double analytic = once[l].data<double>()[i], twice = leaves[l].gradient().data<double>()[i];
      CHECK(std::fabs(twice - 2 * analytic) <= 1e-9 * largest);
      const double original = value.data<double>()[i];
      value.mutable_data<double>()[i] = original + options.step;
      const double above = evaluate();
      value.mutable_data<double>()[i] = original - options.step;
      const double below = evaluate();
      value.mutable_data<double>()[i] = original;
      const double numeric = (above - below) / (2 * options.step);
      if (!(std::fabs(numeric - analytic) <= options.tolerance * largest))
        FAIL_CHECK(
            fmt::format("leaf {} element {}: central difference {}, backward {}", l, i, numeric, analytic));
    }
  }
}

}  // namespace rcnn
