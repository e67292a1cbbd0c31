#include "layers/dropout.h"

#include "kernels/elementwise/dropout.h"

namespace rcnn {
namespace {

struct DropoutNode : Node {
  const char* name() const override { return "dropout"; }
  float p = 0;
  uint64_t seed = 0;
  uint32_t layer = 0;
  Saved step;  // saved so that backward notices if the step has changed

  void backward(Context& ctx) override {
    const GradientTarget dx = target(ctx, 0);
    visit_float(dx.value.dtype(), name(), [&](auto zero) {
      using T = decltype(zero);
      kernels::run(ctx, kernels::dropout_backward,
                   kernels::DropoutBackwardArgs<T>{.count = dx.value.numel(),
                                                   .dy = output_gradient().data<T>(),
                                                   .key = {p, seed, step.get().data<int32_t>(), layer},
                                                   .dx = dx.data<T>(),
                                                   .accumulate = dx.accumulate});
    });
  }
};

}  // namespace

Var dropout(Context& ctx, const Var& x, float p, uint32_t layer) {
  check(p >= 0 && p < 1, "dropout: the probability p is {}, expected at least 0 and below 1", p);
  const int64_t count = x.value().numel();
  check(layer < 256, "dropout: the layer is {}, expected a number below 256", layer);
  check(count < int64_t{1} << 32, "dropout: x is {}, expected fewer than 2^32 elements", x.shape().str());
  if (!ctx.training || p == 0) return x;
  const uint32_t place = ctx.micro_batch << 8 | layer;
  Tensor y = ctx.empty(x.shape(), x.dtype());
  visit_float(x.dtype(), "dropout", [&](auto zero) {
    using T = decltype(zero);
    kernels::run(ctx, kernels::dropout,
                 kernels::DropoutArgs<T>{.count = count,
                                         .x = x.value().data<T>(),
                                         .key = {p, ctx.seed, ctx.step.data<int32_t>(), place},
                                         .y = y.mutable_data<T>()});
  });
  if (!wants_gradient(ctx, {&x})) return Var(y);
  auto node = std::make_shared<DropoutNode>();
  node->p = p;
  node->seed = ctx.seed;
  node->layer = place;
  node->step = ctx.step;
  return record(ctx, node, {&x}, y);
}

}  // namespace rcnn
