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
    run_in(ctx, dy.dtype(), kernels::average_pool_backward,
           [&]<class T>(kernels::AveragePoolBackwardArgs<T>& args) {
             args = {.n = dy.dim(0),
                     .p = pixels,
                     .c = dy.dim(1),
                     .dy = dy.data<T>(),
                     .dx = dx.data<T>(),
                     .accumulate = dx.accumulate};
           });
  }
};

}  // namespace

Var average_pool(Context& ctx, const Var& x) {
  const Shape& in = x.shape();
  check(in.rank() == 4 && in[1] > 0 && in[2] > 0,
        "average_pool: x is {}, expected (N, H, W, C) with at least one pixel", in.str());
  Tensor y = ctx.empty({in[0], in[3]}, x.dtype());
  run_in(ctx, x.dtype(), kernels::average_pool, [&]<class T>(kernels::AveragePoolArgs<T>& args) {
    args = {.n = in[0], .p = in[1] * in[2], .c = in[3], .x = x.value().data<T>(), .y = y.mutable_data<T>()};
  });
  return record<AveragePoolNode>(ctx, {&x}, y, [&](AveragePoolNode& node) { node.pixels = in[1] * in[2]; });
}

}  // namespace rcnn
