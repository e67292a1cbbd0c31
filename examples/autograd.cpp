// The engine without a detector: a network of three layers learns to tell two spirals apart.
//
//     make build/release/examples/autograd && build/release/examples/autograd
//
// Everything that trains Faster R-CNN is here in small: values (Var), layers that leave nodes behind, a
// backward pass through those nodes, and an optimiser.
#include <fmt/format.h>

#include <cmath>

#include "core/rng.h"                      // random numbers, by key and counter
#include "layers/linear.h"                 // y = x w^T + b
#include "layers/softmax_cross_entropy.h"  // the loss of a classifier
#include "train/sgd.h"                     // the optimiser

using namespace rcnn;

/// A module is a plain struct. `visit` shows its parameters; the optimiser finds them through it.
struct Network {
  Linear hidden1, hidden2, output;

  /// x (M, 2), points of the plane -> (M, 2), a score for each spiral.
  Var operator()(Context& ctx, const Var& x) const {
    return output(ctx, hidden2(ctx, hidden1(ctx, x, true), true));  // true: with ReLU
  }
  void visit(ParamVisitor& visitor) {
    visitor.child("hidden1", hidden1);
    visitor.child("hidden2", hidden2);
    visitor.child("output", output);
  }
};

struct Points {
  Tensor position;  // (M, 2) f32
  Tensor label;     // (M) i32: which spiral
};

/// Points along two spirals that wind around each other. Another `set` gives other points of the same ones.
Points draw_points(int64_t count, uint32_t set) {
  Points points{Tensor::empty({count, 2}, DType::f32), Tensor::empty({count}, DType::i32)};
  RandomSequence random(1, Purpose::scene, set);  // no hidden state: the same arguments, the same numbers
  for (int64_t i = 0; i < count; ++i) {
    const int spiral = static_cast<int>(random.below(2));
    const float radius = random.uniform(0.1f, 1.0f),
                angle = 8 * radius + 3.1415927f * static_cast<float>(spiral);
    points.position.mutable_data<float>()[2 * i] = radius * std::cos(angle) + 0.02f * random.normal();
    points.position.mutable_data<float>()[2 * i + 1] = radius * std::sin(angle) + 0.02f * random.normal();
    points.label.mutable_data<int32_t>()[i] = spiral;
  }
  return points;
}

/// The share of points whose own spiral has the higher score.
double accuracy(Context& ctx, const Network& network, const Points& points) {
  ctx.grad = false;  // only values are needed, so no nodes are recorded
  const Tensor scores = network(ctx, Var(points.position)).value();
  const auto score = scores.values<float>();
  const auto label = points.label.values<int32_t>();
  int right = 0;
  for (size_t i = 0; i < label.size(); ++i) right += (score[2 * i + 1] > score[2 * i]) == (label[i] == 1);
  return static_cast<double>(right) / static_cast<double>(label.size());
}

int main() {
  Context ctx;   // how work is done: on which device, by which variants of the ops, with or without gradients
  Init init(1);  // hands out initial values, from seed 1
  Network network{Linear::make(init, 2, 64), Linear::make(init, 64, 64), Linear::make(init, 64, 2)};
  Sgd sgd(ctx, network, {.momentum = 0.9f, .weight_decay = 0});
  const Points training = draw_points(512, 0), unseen = draw_points(512, 1);

  for (int step = 0; step <= 500; ++step) {
    ctx.grad = true;                                                      // record a node at every layer
    const Var scores = network(ctx, Var(training.position));              // forward
    const Var loss = softmax_cross_entropy(ctx, scores, training.label);  // one number: how wrong that was
    backward(ctx, loss);                                                  // d loss / d parameter, for all
    sgd.step(ctx, 0.1f);                                                  // and a step down that slope
    if (step % 100 == 0)
      fmt::print("step {:4}: loss {:.4f}, accuracy on unseen points {:.3f}\n", step,
                 loss.value().item<float>(), accuracy(ctx, network, unseen));
  }
  return accuracy(ctx, network, unseen) > 0.95 ? 0 : 1;  // a program to learn from should itself have learned
}
