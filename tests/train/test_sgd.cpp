// The optimiser of a module against hand-worked steps.
#include "train/sgd.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace rcnn;

namespace {

/// Its backward pass gives each input these gradients; an input without one gets none.
struct GivenGradients : Node {
  std::vector<std::vector<float>> gradients;
  const char* name() const override { return "given_gradients"; }
  void backward(Context& ctx) override {
    for (size_t i = 0; i < gradients.size(); ++i) {
      if (gradients[i].empty()) continue;
      const GradientTarget to = target(ctx, i);
      std::copy(gradients[i].begin(), gradients[i].end(), to.data<float>());
    }
  }
};

/// Two parameters and a frozen one.
struct Module {
  Var a = Var::parameter(Tensor::of<float>({2}, {2, -1}));
  Var b = Var::parameter(Tensor::of<float>({1}, {0.5f}));
  Var frozen{Tensor::of<float>({1}, {7})};

  void visit(ParamVisitor& visitor) {
    visitor.parameter("a", a);
    visitor.parameter("b", b);
    visitor.parameter("frozen", frozen);
  }

  /// Gives a and b these gradients; empty: none.
  void set_gradients(Context& ctx, std::vector<float> of_a, std::vector<float> of_b) const {
    ctx.grad = true;
    auto node = std::make_shared<GivenGradients>();
    node->gradients = {std::move(of_a), std::move(of_b)};
    backward(ctx, record(ctx, node, {&a, &b}, Tensor::zeros({}, DType::f32)));
  }
};

std::vector<float> values(const Tensor& tensor) {
  const auto span = tensor.values<float>();
  return {span.begin(), span.end()};
}

/// Equal within a millionth; NaN never is.
bool near(const Tensor& found, const std::vector<float>& wanted) {
  const std::vector<float> list = values(found);
  bool all = list.size() == wanted.size();
  for (size_t i = 0; all && i < list.size(); ++i) all = std::abs(list[i] - wanted[i]) <= 1e-6f;
  return all;
}

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

}  // namespace

TEST_CASE("sgd: two steps with momentum and weight decay") {
  Context ctx;
  Module module;
  Sgd sgd(ctx, module, {.momentum = 0.9f, .weight_decay = 0.1f, .clip_norm = 0});
  REQUIRE(sgd.parameters().size() == 2);
  CHECK(sgd.parameters()[0].name == "a");
  CHECK(near(sgd.parameters()[0].momentum, {0, 0}));

  // momentum = g + .1 w; w -= .5 momentum
  module.set_gradients(ctx, {1, 0}, {-2});
  sgd.step(ctx, 0.5f);
  CHECK(near(sgd.parameters()[0].momentum, {1.2f, -0.1f}));
  CHECK(near(module.a.value(), {1.4f, -0.95f}));
  CHECK(near(sgd.parameters()[1].momentum, {-1.95f}));
  CHECK(near(module.b.value(), {1.475f}));
  CHECK(near(sgd.norm(), {std::sqrt(5.0f)}));  // of the gradients, without the decay

  // momentum = .9 momentum + g + .1 w
  module.set_gradients(ctx, {-1, 2}, {0});
  sgd.step(ctx, 0.5f);
  CHECK(near(sgd.parameters()[0].momentum, {0.22f, 1.815f}));
  CHECK(near(module.a.value(), {1.29f, -1.8575f}));
  CHECK(near(sgd.parameters()[1].momentum, {-1.6075f}));
  CHECK(near(module.b.value(), {2.27875f}));
  CHECK(values(module.frozen.value()) == std::vector<float>{7});
}

TEST_CASE("sgd: a step clears the gradients") {
  Context ctx;
  Module module;
  Sgd sgd(ctx, module, {});
  module.set_gradients(ctx, {1, 1}, {1});
  CHECK(module.a.has_gradient());
  sgd.step(ctx, 0.5f);
  CHECK_FALSE(module.a.has_gradient());
  CHECK_FALSE(module.b.has_gradient());
}

TEST_CASE("sgd: a parameter without a gradient keeps its value and its momentum") {
  Context ctx;
  Module module;
  Sgd sgd(ctx, module, {.momentum = 0.9f, .weight_decay = 0.1f, .clip_norm = 0});
  module.set_gradients(ctx, {1, 1}, {1});
  sgd.step(ctx, 0.5f);
  const auto b = values(module.b.value()), momentum = values(sgd.parameters()[1].momentum);
  const auto a = values(module.a.value());
  module.set_gradients(ctx, {1, 1}, {});
  sgd.step(ctx, 0.5f);
  CHECK(values(module.b.value()) == b);
  CHECK(values(sgd.parameters()[1].momentum) == momentum);
  CHECK(values(module.a.value()) != a);
  CHECK(near(sgd.norm(), {std::sqrt(2.0f)}));
  sgd.step(ctx, 0.5f);  // with no gradient at all
  CHECK(values(module.b.value()) == b);
}

TEST_CASE("sgd: all gradients together are scaled down to the given norm, and never up") {
  const auto step = [](float clip_norm) {
    Context ctx;
    Module module;
    Sgd sgd(ctx, module, {.momentum = 0, .weight_decay = 0, .clip_norm = clip_norm});
    module.set_gradients(ctx, {3, 0}, {-4});
    sgd.step(ctx, 1);
    CHECK(near(sgd.norm(), {5}));  // before clipping
    return std::pair(module.a.value(), module.b.value());
  };
  CHECK(near(step(1).first, {2 - 0.6f, -1}));
  CHECK(near(step(1).second, {0.5f + 0.8f}));
  for (const float enough : {0.0f, 10.0f}) {
    CHECK(near(step(enough).first, {-1, -1}));
    CHECK(near(step(enough).second, {4.5f}));
  }
}

TEST_CASE("sgd: a gradient that is not finite changes no parameter, and the next step works again") {
  for (const float bad : {kNaN, INFINITY}) {
    CAPTURE(bad);
    Context ctx;
    Module module;
    Sgd sgd(ctx, module, {.momentum = 0.9f, .weight_decay = 0.1f, .clip_norm = 1});
    module.set_gradients(ctx, {0, bad}, {1});
    sgd.step(ctx, 0.5f);
    CHECK_FALSE(std::isfinite(sgd.norm().item<float>()));
    CHECK(values(module.a.value()) == std::vector<float>{2, -1});
    CHECK(values(module.b.value()) == std::vector<float>{0.5f});
    CHECK(values(sgd.parameters()[1].momentum) == std::vector<float>{0});
    module.set_gradients(ctx, {0, 0}, {1});
    sgd.step(ctx, 0.5f);
    CHECK(near(sgd.norm(), {1}));
    CHECK(near(module.b.value(), {0.5f - 0.5f * 1.05f}));
  }
}
