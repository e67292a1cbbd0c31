#include "layers/average_pool.h"

#include "kernels/spatial/average_pool.h"

namespace rcnn {
namespace {

struct AveragePoolNode : Node {
  const char* name() const override { return "average_pool"; }
  int64_t pixels = 0;

  void backward(Context& ctx) override {
    const GradientTarget dx = target(ctx, 0);
    const Tensor dy = output_gradient();
    visit_float(dy.dtype(), name(), [&](auto zero) {
      using T = decltype(zero);
      kernels::run(ctx, kernels::average_pool_backward,
                   kernels::AveragePoolBackwardArgs<T>{.n = dy.dim(0),
                                                       .p = pixels,
                                                       .c = dy.dim(1),
                                                       .dy = dy.data<T>(),
                                                       .dx = dx.data<T>(),
                                                       .accumulate = dx.accumulate});
    });
  }
};

}  // namespace

Var average_pool(Context& ctx, const Var& x) {
  const Shape& in = x.shape();
  check(in.rank() == 4 && in[1] > 0 && in[2] > 0,
        "average_pool: x is {}, expected (N, H, W, C) with at least one pixel", in.str());
  Tensor y = ctx.empty({in[0], in[3]}, x.dtype());
  visit_float(x.dtype(), "average_pool", [&](auto zero) {
    using T = decltype(zero);
    kernels::run(
        ctx, kernels::average_pool,
        kernels::AveragePoolArgs<T>{
            .n = in[0], .p = in[1] * in[2], .c = in[3], .x = x.value().data<T>(), .y = y.mutable_data<T>()});
  });
  if (!wants_gradient(ctx, {&x})) return Var(y);
  auto node = std::make_shared<AveragePoolNode>();
  node->pixels = in[1] * in[2];
  return record(ctx, node, {&x}, y);
}

}  // namespace rcnn
