#include "layers/max_pool.h"

#include "kernels/spatial/max_pool.h"

namespace rcnn {
namespace {

struct MaxPoolNode : Node {
  const char* name() const override { return "max_pool"; }
  int kernel, stride, pad;
  Saved x;

  void backward(Context& ctx) override {
    const GradientTarget dx = target(ctx, 0);
    const Shape& in = x.get().shape();
    const Shape& out = output_gradient().shape();
    run_in(ctx, dx.value.dtype(), kernels::max_pool_backward,
           [&]<class T>(kernels::MaxPoolBackwardArgs<T>& args) {
             args = {.n = in[0],
                     .h = in[1],
                     .w = in[2],
                     .c = in[3],
                     .oh = out[1],
                     .ow = out[2],
                     .kernel = kernel,
                     .stride = stride,
                     .pad = pad,
                     .x = x.get().data<T>(),
                     .dy = output_gradient().data<T>(),
                     .dx = dx.data<T>(),
                     .accumulate = dx.accumulate};
           });
  }
};

}  // namespace

Var max_pool(Context& ctx, const Var& x, int kernel, int stride, int pad, bool ceil_mode) {
  const Shape& in = x.shape();
  check(in.rank() == 4, "max_pool: x is {}, expected (N, H, W, C)", in.str());
  check(in[2] == 0 || in[1] <= INT32_MAX / in[2],
        "max_pool: x is {}, expected fewer than 2^31 pixels per image", in.str());
  check(kernel > 0 && stride > 0 && pad >= 0 && 2 * pad <= kernel,
        "max_pool: kernel {}, stride {} and pad {} do not fit: expected kernel and stride of at least 1 and "
        "pad of at most half the kernel",
        kernel, stride, pad);
  const int64_t oh = kernels::max_pool_size(in[1], kernel, stride, pad, ceil_mode),
                ow = kernels::max_pool_size(in[2], kernel, stride, pad, ceil_mode);
  check(oh > 0 && ow > 0, "max_pool: x {} is smaller than the kernel of {} with a pad of {}", in.str(),
        kernel, pad);
  Tensor y = ctx.empty({in[0], oh, ow, in[3]}, x.dtype());
  run_in(ctx, x.dtype(), kernels::max_pool, [&]<class T>(kernels::MaxPoolArgs<T>& args) {
    args = {.n = in[0],
            .h = in[1],
            .w = in[2],
            .c = in[3],
            .oh = oh,
            .ow = ow,
            .kernel = kernel,
            .stride = stride,
            .pad = pad,
            .x = x.value().data<T>(),
            .y = y.mutable_data<T>()};
  });
  return record<MaxPoolNode>(ctx, {&x}, y, [&](MaxPoolNode& node) {
    node.kernel = kernel;
    node.stride = stride;
    node.pad = pad;
    node.x = x.value();
  });
}

}  // namespace rcnn
