#include "layers/logit_difference.h"

#include <span>
#include <vector>

#include "kernels/elementwise/logit_difference.h"

namespace rcnn {
namespace {

struct LogitDifferenceNode : Node {
  const char* name() const override { return "logit_difference"; }

  void backward(Context& ctx) override {
    const GradientTarget dx = target(ctx, 0);
    const Tensor& dy = output_gradient();
    visit_float(dy.dtype(), name(), [&](auto zero) {
      using T = decltype(zero);
      const int64_t a = dy.dim(-1);
      kernels::run(ctx, kernels::logit_difference_backward,
                   kernels::LogitDifferenceBackwardArgs<T>{.rows = a == 0 ? 0 : dy.numel() / a,
                                                           .a = a,
                                                           .dy = dy.data<T>(),
                                                           .dx = dx.data<T>(),
                                                           .accumulate = dx.accumulate});
    });
  }
};

}  // namespace

Var logit_difference(Context& ctx, const Var& x) {
  check(x.shape().rank() >= 1 && x.dim(-1) % 2 == 0,
        "logit_difference: x is {}, expected (..., 2 A): the scores of background, then those of object",
        x.shape().str());
  std::vector<int64_t> sizes(x.shape().begin(), x.shape().end());
  const int64_t a = sizes.back() /= 2;
  Tensor y = ctx.empty(Shape(std::span<const int64_t>(sizes)), x.dtype());
  run_in(ctx, x.dtype(), kernels::logit_difference, [&]<class T>(kernels::LogitDifferenceArgs<T>& args) {
    args = {.rows = a == 0 ? 0 : y.numel() / a, .a = a, .x = x.value().data<T>(), .y = y.mutable_data<T>()};
  });
  return record<LogitDifferenceNode>(ctx, {&x}, y, [](auto&) {});
}

}  // namespace rcnn
