#include "layers/linear.h"

#include <cmath>

#include "kernels/gemm/epilogue.h"
#include "kernels/gemm/matmul.h"

namespace rcnn {
namespace {

kernels::WeightsKey key_of(const Tensor& w) { return {w.storage().id, w.version()}; }

struct LinearNode : Node {
  const char* name() const override { return "linear"; }
  enum Input { kX, kW, kBias };
  int64_t m = 0, n = 0, k = 0;
  bool relu = false;
  Saved x, w, y;
  kernels::PackedInput packed_x;

  void backward(Context& ctx) override {
    visit_float(output_gradient().dtype(), name(), [&](auto zero) { differentiate<decltype(zero)>(ctx); });
  }

  template <class T>
  void differentiate(Context& ctx) {
    const Tensor dy = output_gradient();
    const Tensor g = relu ? ctx.empty(dy.shape(), dy.dtype()) : dy;
    const GradientTarget dbias = target(ctx, kBias);
    if (relu || dbias)
      kernels::run(ctx, kernels::epilogue_backward,
                   kernels::EpilogueBackwardArgs<T>{.rows = m,
                                                    .c = n,
                                                    .y = relu ? y.get().data<T>() : nullptr,
                                                    .dy = dy.data<T>(),
                                                    .dz = relu ? g.mutable_data<T>() : nullptr,
                                                    .dbias = dbias.data<T>(),
                                                    .accumulate_bias = dbias.accumulate});
    const kernels::ContentsKey gradient{g.storage().id, g.version()};
    if (const GradientTarget dw = target(ctx, kW))  // (N, M) (M, K)
      kernels::run(ctx, kernels::matmul,
                   kernels::MatmulArgs<T>{.m = n,
                                          .n = k,
                                          .k = m,
                                          .transpose_a = true,
                                          .a = g.data<T>(),
                                          .b = x.get().data<T>(),
                                          .c = dw.data<T>(),
                                          .accumulate = dw.accumulate,
                                          .gradient = gradient,
                                          .packed_b = &packed_x});
    if (const GradientTarget dx = target(ctx, kX))  // (M, N) (N, K)
      kernels::run(ctx, kernels::matmul,
                   kernels::MatmulArgs<T>{.m = m,
                                          .n = k,
                                          .k = n,
                                          .a = g.data<T>(),
                                          .b = w.get().data<T>(),
                                          .c = dx.data<T>(),
                                          .accumulate = dx.accumulate,
                                          .weights = key_of(w.get()),
                                          .gradient = gradient});
  }
};

}  // namespace

Var linear(Context& ctx, const Var& x, const Var& w, const Var& bias, bool relu) {
  const Shape &in = x.shape(), &weights = w.shape();
  check(in.rank() == 2 && weights.rank() == 2 && in[1] == weights[1],
        "linear: x {} and w {} do not fit: expected (M, K) and (N, K)", in.str(), weights.str());
  check(!bias.defined() || bias.shape() == Shape{weights[0]},
        "linear: the bias has shape {}, but there are {} outputs", bias.shape().str(), weights[0]);
  const int64_t m = in[0], n = weights[0], k = in[1];
  Tensor y = ctx.empty({m, n}, x.dtype());
  const auto node = wants_gradient(ctx, {&x, &w, &bias}) ? std::make_shared<LinearNode>() : nullptr;
  visit_float(x.dtype(), "linear", [&](auto zero) {
    using T = decltype(zero);
    kernels::run(ctx, kernels::matmul,
                 kernels::MatmulArgs<T>{.m = m,
                                        .n = n,
                                        .k = k,
                                        .transpose_b = true,
                                        .a = x.value().data<T>(),
                                        .b = w.value().data<T>(),
                                        .bias = bias.defined() ? bias.value().data<T>() : nullptr,
                                        .relu = relu,
                                        .c = y.mutable_data<T>(),
                                        .weights = key_of(w.value()),
                                        .packed_a = node && w.requires_grad() ? &node->packed_x : nullptr});
  });
  if (!node) return Var(y);
  node->m = m;
  node->n = n;
  node->k = k;
  node->relu = relu;
  if (w.requires_grad()) node->x = x.value();
  if (x.requires_grad()) node->w = w.value();
  if (relu) node->y = y;
  return record(ctx, node, {&x, &w, &bias}, y);
}

Linear Linear::make(Init& init, int64_t inputs, int64_t outputs) {
  Linear layer;
  layer.weight = init.kaiming_uniform({outputs, inputs}, std::sqrt(5.0));
  layer.bias = init.uniform({outputs}, 1.0 / std::sqrt(static_cast<double>(inputs)));
  return layer;
}

}  // namespace rcnn
