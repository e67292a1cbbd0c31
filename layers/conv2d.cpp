#include "layers/conv2d.h"

#include "kernels/gemm/conv2d.h"
#include "kernels/gemm/epilogue.h"

namespace rcnn {
namespace {

kernels::WeightsKey key_of(const Tensor& w, const Tensor& scale) {
  kernels::WeightsKey key{w.storage().id, w.version()};
  if (scale.defined()) {
    key.scale_id = scale.storage().id;
    key.scale_version = scale.version();
  }
  return key;
}

struct Conv2dNode : Node {
  const char* name() const override { return "conv2d"; }
  enum Input { kX, kW, kBias, kResidual };
  kernels::Conv2dShape shape;
  bool relu = false;
  Saved x, w, y, scale;
  kernels::PackedOperand given_g;  // a g in bf16 alone, which the layer above or the epilogue has written

  void backward(Context& ctx) override {
    const DType type = output_gradient().defined() ? output_gradient().dtype() : DType::f32;
    visit_float(type, name(), [&](auto zero) { differentiate<decltype(zero)>(ctx); });
  }

  /// Whether both gradients read g in bf16 alone, so that it is written in no other form.
  template <class T>
  bool g_is_packed(const Context& ctx) const {
    if constexpr (std::is_same_v<T, float>) {
      if (ctx.device.type != DeviceType::cuda || shape.k % 8 != 0) return false;
      const auto packed = [&](const auto& op, const auto& args) {
        return kernels::reads_bf16_form(kernels::choose(ctx, op, args));
      };
      return (!wants(kW) || packed(kernels::conv2d_dw, kernels::Conv2dDwArgs<float>{.shape = shape})) &&
             (!wants(kX) || packed(kernels::conv2d_dx, kernels::Conv2dDxArgs<float>{.shape = shape}));
    }
    return false;
  }

  /// Whether g is no more than the gradient of the result times a mask and a scale, and packed: then the
  /// layer that computes that gradient can write g at once.
  bool g_can_be_given(const Context& ctx) const {
    return (relu || scale.defined()) && !wants(kBias) && !wants(kResidual) && g_is_packed<float>(ctx);
  }

  template <class T>
  void differentiate(Context& ctx) {
    // g is the gradient of the convolution's result: dy itself unless the epilogue has a scale or a ReLU.
    const Tensor dy = output_gradient();
    Tensor g = dy;
    kernels::PackedOperand* packed_g = &given_g;
    if (dy.defined()) {
      const bool changes = relu || scale.defined(), makes_g = changes && (wants(kX) || wants(kW));
      const bool only_packed = makes_g && g_is_packed<T>(ctx);
      if (makes_g) g = only_packed ? Tensor() : ctx.empty(dy.shape(), dy.dtype());
      const GradientTarget dbias = target(ctx, kBias), dresidual = target(ctx, kResidual);
      if (!changes) dresidual.put(dy);
      if (changes || dbias)
        kernels::run(
            ctx, kernels::epilogue_backward,
            kernels::EpilogueBackwardArgs<T>{.rows = dy.numel() / shape.k,
                                             .c = shape.k,
                                             .y = relu ? y.get().data<T>() : nullptr,
                                             .dy = dy.data<T>(),
                                             .scale = data_or_null<T>(scale),
                                             .dz = makes_g && !only_packed ? g.mutable_data<T>() : nullptr,
                                             .dresidual = changes ? dresidual.data<T>() : nullptr,
                                             .accumulate_residual = dresidual.accumulate,
                                             .dbias = dbias.data<T>(),
                                             .accumulate_bias = dbias.accumulate,
                                             .packed_dz = only_packed ? &given_g : nullptr});
      if (!only_packed) packed_g = kernels::packed_operand(g);
    }
    if (const GradientTarget dw = target(ctx, kW))
      kernels::run(ctx, kernels::conv2d_dw,
                   kernels::Conv2dDwArgs<T>{.shape = shape,
                                            .x = x.get().data<T>(),
                                            .g = data_or_null<T>(g),
                                            .dw = dw.data<T>(),
                                            .accumulate = dw.accumulate,
                                            .packed_x = kernels::packed_operand(x.get()),
                                            .packed_g = packed_g});
    if (!wants(kX)) return;
    kernels::Conv2dDxArgs<T> args{.shape = shape,
                                  .g = data_or_null<T>(g),
                                  .w = w.get().data<T>(),
                                  .weights = key_of(w.get(), {}),
                                  .packed_g = packed_g};
    if (auto* below = dynamic_cast<Conv2dNode*>(producer_for_this_alone(kX));
        below && packed_g == &given_g && below->g_can_be_given(ctx)) {
      if (below->relu) args.mask = below->y.get().data<T>();
      args.scale = data_or_null<T>(below->scale);
      args.packed_dx = &below->given_g;
      hand_over(kX);
    } else {
      const GradientTarget dx = target(ctx, kX);
      args.dx = dx.data<T>();
      args.accumulate = dx.accumulate;
    }
    kernels::run(ctx, kernels::conv2d_dx, args);
  }
};

}  // namespace

Var conv2d(Context& ctx, const Var& x, const Var& w, const ConvOptions& options, ConvEpilogue e) {
  const Shape& in = x.shape();
  const Shape& filter = w.shape();
  check(in.rank() == 4 && filter.rank() == 4 && in[3] == filter[3],
        "conv2d: x {} and w {} do not fit: expected (N, H, W, C) and (K, R, S, C)", in.str(), filter.str());
  const kernels::Conv2dShape shape{in[0],     in[1],     in[2],          in[3],       filter[0],
                                   filter[1], filter[2], options.stride, options.pad, options.dilation};
  check(shape.stride > 0 && shape.pad >= 0 && shape.dilation > 0 && shape.oh() > 0 && shape.ow() > 0,
        "conv2d: x {} is too small for filters {} with stride {}, padding {} and dilation {}", in.str(),
        filter.str(), shape.stride, shape.pad, shape.dilation);
  const Shape out{shape.n, shape.oh(), shape.ow(), shape.k};
  const Shape channels{shape.k};
  check(!e.scale.defined() || e.scale.shape() == channels,
        "conv2d: the scale has shape {}, but there are {} filters", e.scale.shape().str(), shape.k);
  check(!e.bias.defined() || e.bias.shape() == channels,
        "conv2d: the bias has shape {}, but there are {} filters", e.bias.shape().str(), shape.k);
  check(!e.residual.defined() || e.residual.shape() == out,
        "conv2d: the residual has shape {}, but the output has shape {}", e.residual.shape().str(),
        out.str());

  const bool has_gradient = wants_gradient(ctx, {&x, &w, &e.bias, &e.residual});
  const bool in_place = !has_gradient && e.residual.defined() && e.residual.value().is_only_owner();
  Tensor y = in_place ? e.residual.value() : ctx.empty(out, x.dtype());
  const auto node = has_gradient ? std::make_shared<Conv2dNode>() : nullptr;
  run_in(ctx, x.dtype(), kernels::conv2d, [&]<class T>(kernels::Conv2dArgs<T>& args) {
    args = {.shape = shape,
            .x = x.value().data<T>(),
            .w = w.value().data<T>(),
            .scale = data_or_null<T>(e.scale),
            .bias = data_or_null<T>(e.bias.value()),
            .residual = data_or_null<T>(e.residual.value()),
            .relu = e.relu,
            .y = y.mutable_data<T>(),
            .weights = key_of(w.value(), e.scale),
            .packed_x = kernels::packed_operand(x.value()),
            .packed_y = e.packed ? kernels::packed_operand(y) : nullptr};
  });
  if (!node) return Var(y);
  node->shape = shape;
  node->relu = e.relu;
  if (w.requires_grad()) node->x = x.value();
  if (x.requires_grad()) node->w = w.value();
  if (e.relu) node->y = y;
  if (e.scale.defined()) node->scale = e.scale;
  return record(ctx, node, {&x, &w, &e.bias, &e.residual}, y);
}

}  // namespace rcnn
