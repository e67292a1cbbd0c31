#include "layers/dropout.h"

#include "kernels/elementwise/dropout.h"

namespace rcnn {
namespace {

struct DropoutNode : Node {
  const char* name() const override { return "dropout"; }
  kernels::DropoutKey key;
  Saved step;  // what key.step points to; saved so that backward notices if the step has changed

  void backward(Context& ctx) override {
    const GradientTarget dx = target(ctx, 0);
    key.step = step.get().data<int32_t>();
    run_in(ctx, dx.value.dtype(), kernels::dropout_backward,
           [&]<class T>(kernels::DropoutBackwardArgs<T>& a) {
             a = {.count = dx.value.numel(),
                  .dy = output_gradient().data<T>(),
                  .key = key,
                  .dx = dx.data<T>(),
                  .accumulate = dx.accumulate};
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
  const kernels::DropoutKey key{
      .p = p, .seed = ctx.seed, .step = ctx.step.data<int32_t>(), .layer = ctx.micro_batch << 8 | layer};
  Tensor y = ctx.empty(x.shape(), x.dtype());
  run_in(ctx, x.dtype(), kernels::dropout, [&]<class T>(kernels::DropoutArgs<T>& a) {
    a = {.count = count, .x = x.value().data<T>(), .key = key, .y = y.mutable_data<T>()};
  });
  return record<DropoutNode>(ctx, {&x}, y, [&](DropoutNode& node) {
    node.key = key;
    node.step = ctx.step;
  });
}

}  // namespace rcnn
