#include "layers/upsample_add.h"

#include "kernels/spatial/upsample_add.h"

namespace rcnn {
namespace {

struct UpsampleAddNode : Node {
  const char* name() const override { return "upsample_add"; }
  Shape y, top;

  void backward(Context& ctx) override {
    target(ctx, 0).put(output_gradient());
    const GradientTarget dtop = target(ctx, 1);
    if (!dtop) return;
    run_in(ctx, dtop.value.dtype(), kernels::upsample_add_backward,
           [&]<class T>(kernels::UpsampleAddBackwardArgs<T>& args) {
             args = {.n = y[0],
                     .h = y[1],
                     .w = y[2],
                     .c = y[3],
                     .th = top[1],
                     .tw = top[2],
                     .dy = output_gradient().data<T>(),
                     .dtop = dtop.data<T>(),
                     .accumulate = dtop.accumulate};
           });
  }
};

}  // namespace

Var upsample_add(Context& ctx, const Var& lateral, const Var& top) {
  const Shape& y = lateral.shape();
  const Shape& t = top.shape();
  check(y.rank() == 4 && t.rank() == 4 && y[0] == t[0] && y[3] == t[3] && t[1] <= y[1] && t[2] <= y[2] &&
            (y.numel() == 0 || t.numel() > 0),
        "upsample_add: lateral {} and top {} do not fit: expected (N, H, W, C) and (N, TH <= H, TW <= W, C)",
        y.str(), t.str());
  Tensor result = ctx.empty(y, lateral.dtype());
  run_in(ctx, lateral.dtype(), kernels::upsample_add, [&]<class T>(kernels::UpsampleAddArgs<T>& args) {
    args = {.n = y[0],
            .h = y[1],
            .w = y[2],
            .c = y[3],
            .th = t[1],
            .tw = t[2],
            .lateral = lateral.value().data<T>(),
            .top = top.value().data<T>(),
            .y = result.mutable_data<T>()};
  });
  return record<UpsampleAddNode>(ctx, {&lateral, &top}, result, [&](UpsampleAddNode& node) {
    node.y = y;
    node.top = t;
  });
}

}  // namespace rcnn
