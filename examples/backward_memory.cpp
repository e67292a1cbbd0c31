// How backward frees memory: three nodes, and the bytes in use before and after each of them.
// docs/backward-memory.md explains the output.
//
//     make build/release/examples/backward_memory && build/release/examples/backward_memory
//
// x is a parameter; a = 2 x, b = a^2, loss = sum of b. Only the square needs a value of the forward pass.
#include <fmt/format.h>

#include "core/autograd.h"
#include "core/memory.h"

using namespace rcnn;

namespace {

constexpr int64_t kCount = 1 << 18;  // elements of x, a and b: 1 MiB each in f32

int64_t memory_before = 0;
bool quiet = false;

/// Prints the MiB of tensors that were allocated since the program began and are alive, and whose they are.
void show(const char* when, const char* alive) {
  if (quiet) return;
  const double mib = static_cast<double>(memory_in_use(Device{}) - memory_before) / (1 << 20);
  fmt::print("{:<34}{:3.0f} MiB   {}\n", when, mib, alive);
}

/// Writes f(i) to each element of a new tensor.
template <class F>
Tensor make(const Context& ctx, F f) {
  const Tensor y = ctx.empty({kCount});
  float* to = y.mutable_data<float>();
  for (int64_t i = 0; i < kCount; ++i) to[i] = f(i);
  return y;
}

/// Writes f(i) to each element of a gradient, or adds it.
template <class F>
void give(const GradientTarget& target, F f) {
  float* to = target.data<float>();
  for (int64_t i = 0; i < kCount; ++i) to[i] = (target.accumulate == Accumulate::yes ? to[i] : 0.0f) + f(i);
}

struct DoubleNode : Node {  // saves nothing: the derivative is 2 everywhere
  const char* name() const override { return "double"; }
  void backward(Context& ctx) override {
    show("double: backward begins", "x, da");
    const float* dy = output_gradient().data<float>();
    give(target(ctx, 0), [&](int64_t i) { return 2 * dy[i]; });
    show("double: backward ends", "x, da, dx");
  }
};

struct SquareNode : Node {
  Saved x;
  const char* name() const override { return "square"; }
  void backward(Context& ctx) override {
    show("square: backward begins", "x, a, db");
    const float *values = x.get().data<float>(), *dy = output_gradient().data<float>();
    give(target(ctx, 0), [&](int64_t i) { return 2 * values[i] * dy[i]; });
    show("square: backward ends", "x, a, db, da");
  }
};

struct SumNode : Node {  // saves nothing: the derivative is 1 everywhere
  const char* name() const override { return "sum"; }
  void backward(Context& ctx) override {
    show("sum: backward begins", "x, a");
    const float dy = output_gradient().item<float>();
    give(target(ctx, 0), [&](int64_t) { return dy; });
    show("sum: backward ends", "x, a, db");
  }
};

Var twice(Context& ctx, const Var& x) {
  const float* values = x.value().data<float>();
  const Tensor y = make(ctx, [&](int64_t i) { return 2 * values[i]; });
  return record(ctx, std::make_shared<DoubleNode>(), {&x}, y);
}

Var square(Context& ctx, const Var& x) {
  const float* values = x.value().data<float>();
  const Tensor y = make(ctx, [&](int64_t i) { return values[i] * values[i]; });
  auto node = std::make_shared<SquareNode>();
  node->x = x.value();  // without this line `a` would be freed as soon as its Var goes out of scope
  return record(ctx, node, {&x}, y);
}

Var sum(Context& ctx, const Var& x) {
  float total = 0;
  for (const float value : x.value().values<float>()) total += value;
  return record(ctx, std::make_shared<SumNode>(), {&x}, Tensor::of<float>({}, {total}));
}

/// The forward pass. Its local values go out of scope at the end: what remains is what the nodes saved.
Var forward(Context& ctx, const Var& x) {
  const Var a = twice(ctx, x);
  show("forward: a = 2 x", "x, a");
  const Var b = square(ctx, a);
  show("forward: b = a^2", "x, a, b");
  return sum(ctx, b);
}

}  // namespace

int main() {
  Context ctx;
  memory_before = memory_in_use(Device{});
  const Var x = Var::parameter(make(ctx, [](int64_t i) { return static_cast<float>(i % 4); }));
  show("x is made", "x");

  ctx.grad = true;
  const Var loss = forward(ctx, x);
  show("forward has returned", "x, a");
  backward(ctx, loss);
  show("backward has returned", "x, dx");
  const auto gradient_of_three = [&] { return x.gradient().data<float>()[3]; };
  fmt::print("\nd loss / d x = 8 x: at x = 3 it is {}\n", gradient_of_three());

  quiet = true;
  backward(ctx, loss);
  fmt::print("after a second backward(ctx, loss) it is {}: no node is left\n", gradient_of_three());
  backward(ctx, forward(ctx, x));
  fmt::print("after another forward and backward pass it is {}: the new gradient was added\n\n",
             gradient_of_three());

  const Var a = twice(ctx, x), changed = sum(ctx, square(ctx, a));
  a.value().fill(0);
  try {
    backward(ctx, changed);
  } catch (const Error& error) {
    fmt::print("a was overwritten before backward: {}\n", error.what());
    return 0;
  }
  return 1;
}
