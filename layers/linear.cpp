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

  void backward(Context& ctx) override {
    visit_float(output_gradient().dtype(), name(), [&](auto zero) { differentiate<decltype(zero)>(ctx); });
  }

  template <class T>
  kernels::MatmulArgs<T> dw_sizes() const {  // (N, M) (M, K)
    return {.m = n, .n = k, .k = m, .transpose_a = true};
  }
  template <class T>
  kernels::MatmulArgs<T> dx_sizes() const {  // (M, N) (N, K)
    return {.m = m, .n = k, .k = n};
  }

  /// Whether both gradients read g in bf16 alone, so that it is written in no other form.
  template <class T>
  bool g_is_packed(const Context& ctx) const {
    if constexpr (std::is_same_v<T, float>) {
      if (ctx.device.type != DeviceType::cuda || n % 8 != 0) return false;
      const auto packed = [&](const auto& args) {
        return kernels::reads_bf16_form(kernels::choose(ctx, kernels::matmul, args));
      };
      return (!wants(kW) || packed(dw_sizes<float>())) && (!wants(kX) || packed(dx_sizes<float>()));
    }
    return false;
  }

  template <class T>
  void differentiate(Context& ctx) {
    const Tensor dy = output_gradient();
    const bool makes_g = relu && (wants(kX) || wants(kW)), only_packed = makes_g && g_is_packed<T>(ctx);
    Tensor g = dy;
    if (makes_g) g = only_packed ? Tensor() : ctx.empty(dy.shape(), dy.dtype());
    kernels::PackedOperand packed;
    const GradientTarget dbias = target(ctx, kBias);
    if (makes_g || dbias)
      kernels::run(
          ctx, kernels::epilogue_backward,
          kernels::EpilogueBackwardArgs<T>{.rows = m,
                                           .c = n,
                                           .y = relu ? y.get().data<T>() : nullptr,
                                           .dy = dy.data<T>(),
                                           .dz = makes_g && !only_packed ? g.mutable_data<T>() : nullptr,
                                           .dbias = dbias.data<T>(),
                                           .accumulate_bias = dbias.accumulate,
                                           .packed_dz = only_packed ? &packed : nullptr});
    kernels::PackedOperand* packed_g = only_packed ? &packed : kernels::packed_operand(g);
    if (const GradientTarget dw = target(ctx, kW)) {
      kernels::MatmulArgs<T> args = dw_sizes<T>();
      args.a = data_or_null<T>(g);
      args.b = x.get().data<T>();
      args.c = dw.data<T>();
      args.accumulate = dw.accumulate;
      args.packed_a = packed_g;
      args.packed_b = kernels::packed_operand(x.get());
      kernels::run(ctx, kernels::matmul, args);
    }
    if (const GradientTarget dx = target(ctx, kX)) {
      kernels::MatmulArgs<T> args = dx_sizes<T>();
      args.a = data_or_null<T>(g);
      args.b = w.get().data<T>();
      args.c = dx.data<T>();
      args.accumulate = dx.accumulate;
      args.weights = key_of(w.get());
      args.packed_a = packed_g;
      kernels::run(ctx, kernels::matmul, args);
    }
  }
};

}  // namespace

Var linear(Context& ctx, const Var& x, const Var& w, const Var& bias, bool relu, bool packed) {
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
                                        .packed_a = kernels::packed_operand(x.value()),
                                        .packed_c = packed ? kernels::packed_operand(y) : nullptr});
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
