#include "layers/softmax_cross_entropy.h"

#include "kernels/loss/softmax_cross_entropy.h"

namespace rcnn {
namespace {

struct SoftmaxCrossEntropyNode : Node {
  const char* name() const override { return "softmax_cross_entropy"; }
  Saved logits, labels;

  void backward(Context& ctx) override {
    const GradientTarget dlogits = target(ctx, 0);
    const Tensor& x = logits.get();
    run_in(ctx, x.dtype(), kernels::softmax_cross_entropy_backward,
           [&]<class T>(kernels::SoftmaxCrossEntropyBackwardArgs<T>& args) {
             args = {.rows = labels.get().numel(),
                     .c = x.dim(-1),
                     .logits = x.data<T>(),
                     .labels = labels.get().data<int32_t>(),
                     .dloss = output_gradient().data<T>(),
                     .dlogits = dlogits.data<T>(),
                     .accumulate = dlogits.accumulate};
           });
  }
};

}  // namespace

Var softmax_cross_entropy(Context& ctx, const Var& logits, const Tensor& labels) {
  check(logits.shape().rank() >= 1 && logits.dim(-1) >= 1 &&
            labels.numel() * logits.dim(-1) == logits.value().numel(),
        "softmax_cross_entropy: logits {} and labels {} do not fit: expected (..., C) and one label per row",
        logits.shape().str(), labels.shape().str());
  const Tensor loss = ctx.empty({}, logits.dtype());
  run_in(ctx, logits.dtype(), kernels::softmax_cross_entropy,
         [&]<class T>(kernels::SoftmaxCrossEntropyArgs<T>& args) {
           args = {.rows = labels.numel(),
                   .c = logits.dim(-1),
                   .logits = logits.value().data<T>(),
                   .labels = labels.data<int32_t>(),
                   .loss = loss.mutable_data<T>()};
         });
  return record<SoftmaxCrossEntropyNode>(ctx, {&logits}, loss, [&](SoftmaxCrossEntropyNode& node) {
    node.logits = logits.value();
    node.labels = labels;
  });
}

}  // namespace rcnn
