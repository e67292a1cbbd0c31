#include "layers/softmax.h"

#include "kernels/elementwise/softmax.h"

namespace rcnn {

Tensor softmax(Context& ctx, const Tensor& logits) {
  check(logits.shape().rank() >= 1 && logits.dim(-1) >= 1,
        "softmax: expected logits (..., C), C >= 1, found shape {}", logits.shape().str());
  const Tensor probabilities = ctx.empty(logits.shape(), logits.dtype());
  visit_float(logits.dtype(), "softmax", [&](auto zero) {
    using T = decltype(zero);
    const int64_t c = logits.dim(-1);
    kernels::run(ctx, kernels::softmax,
                 kernels::SoftmaxArgs<T>{.rows = logits.numel() / c,
                                         .c = c,
                                         .logits = logits.data<T>(),
                                         .probabilities = probabilities.mutable_data<T>()});
  });
  return probabilities;
}

}  // namespace rcnn
