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
  kernels::PackedInput packed_x;

  void backward(Context& ctx) override {
    visit_float(output_gradient().dtype(), name(), [&](auto zero) { differentiate<decltype(zero)>(ctx); });
  }

  template <class T>
  void differentiate(Context& ctx) {
    // g is the gradient of the convolution's result: dy itself unless the epilogue has a scale or a ReLU.
    const Tensor dy = output_gradient();
    const bool changes = relu || scale.defined();
    const bool needs_g = wants(kX) || wants(kW);
    const Tensor g = changes && needs_g ? ctx.empty(dy.shape(), dy.dtype()) : dy;
    const GradientTarget dbias = target(ctx, kBias), dresidual = target(ctx, kResidual);
    if (!relu && !scale.defined()) dresidual.put(dy);
    if (changes || dbias)
      kernels::run(
          ctx, kernels::epilogue_backward,
          kernels::EpilogueBackwardArgs<T>{.rows = dy.numel() / shape.k,
                                           .c = shape.k,
                                           .y = relu ? y.get().data<T>() : nullptr,
                                           .dy = dy.data<T>(),
                                           .scale = scale.defined() ? scale.get().data<T>() : nullptr,
                                           .dz = changes && needs_g ? g.mutable_data<T>() : nullptr,
                                           .dresidual = changes ? dresidual.data<T>() : nullptr,
                                           .accumulate_residual = dresidual.accumulate,
                                           .dbias = dbias.data<T>(),
                                           .accumulate_bias = dbias.accumulate});
    const kernels::ContentsKey gradient{g.storage().id, g.version()};
    if (const GradientTarget dw = target(ctx, kW))
      kernels::run(ctx, kernels::conv2d_dw,
                   kernels::Conv2dDwArgs<T>{.shape = shape,
                                            .x = x.get().data<T>(),
                                            .g = g.data<T>(),
                                            .dw = dw.data<T>(),
                                            .accumulate = dw.accumulate,
                                            .gradient = gradient,
                                            .packed_x = &packed_x});
    if (const GradientTarget dx = target(ctx, kX))
      kernels::run(ctx, kernels::conv2d_dx,
                   kernels::Conv2dDxArgs<T>{.shape = shape,
                                            .g = g.data<T>(),
                                            .w = w.get().data<T>(),
                                            .dx = dx.data<T>(),
                                            .accumulate = dx.accumulate,
                                            .weights = key_of(w.get(), {}),
                                            .gradient = gradient});
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
            .packed_x = node && w.requires_grad() ? &node->packed_x : nullptr};
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
