// What the tests of layers on a GPU share: random numbers, and a loss for any output.
#pragma once

#include "core/autograd.h"
#include "core/rng.h"

namespace rcnn::fixtures {

inline Tensor random_tensor(const Shape& shape, uint64_t seed) {
  RandomSequence random(seed, Purpose::test);
  const Tensor tensor = Tensor::empty(shape, DType::f32);
  for (float& value : tensor.mutable_values<float>()) value = random.normal();
  return tensor;
}

/// Any output as a loss whose gradient is random numbers.
struct RandomGradient : Node {
  const char* name() const override { return "random_gradient"; }
  void backward(Context& ctx) override {
    const GradientTarget dx = target(ctx, 0);
    dx.value.copy_from(random_tensor(dx.value.shape(), 99).to(ctx.device));
  }
};

}  // namespace rcnn::fixtures
