#include "layers/batch_norm.h"

#include "kernels/norm/batch_norm.h"
#include "kernels/norm/scale_shift.h"

namespace rcnn {
namespace {

constexpr size_t kX = 0, kWeight = 1, kBias = 2, kResidual = 3;  // inputs of both nodes

template <class T>
const T* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.data<T>() : nullptr;
}

template <class T>
const T* data_or_null(const Saved& saved) {
  return saved.defined() ? saved.get().data<T>() : nullptr;
}

/// What the sums over g need: of the batch's own statistics or of the running ones.
struct Normalization {
  Saved x, weight, mean, inverse_deviation, y;  // y only with relu

  /// Arguments for dweight and dbias; the caller adds where dx and dresidual go.
  template <class T>
  kernels::BatchNormBackwardArgs<T> backward_args(const Tensor& dy, const GradientTarget& dweight,
                                                  const GradientTarget& dbias) const {
    kernels::BatchNormBackwardArgs<T> args{};
    args.c = weight.get().numel();
    args.rows = x.get().numel() / args.c;
    args.x = x.get().data<T>();
    args.weight = weight.get().data<T>();
    args.mean = mean.get().data<T>();
    args.inverse_deviation = inverse_deviation.get().data<T>();
    args.y = data_or_null<T>(y);
    args.dy = dy.data<T>();
    args.relu = y.defined();
    args.dweight = dweight.data<T>();
    args.accumulate_weight = dweight.accumulate;
    args.dbias = dbias.data<T>();
    args.accumulate_bias = dbias.accumulate;
    return args;
  }
};

/// Normalised by the batch's own statistics, which x moves too.
struct BatchNormNode : Node {
  const char* name() const override { return "batch_norm"; }
  Normalization saved;

  void backward(Context& ctx) override {
    const GradientTarget dx = target(ctx, kX), dweight = target(ctx, kWeight), dbias = target(ctx, kBias),
                         dresidual = target(ctx, kResidual);
    visit_float(output_gradient().dtype(), name(), [&](auto zero) {
      using T = decltype(zero);
      auto args = saved.backward_args<T>(output_gradient(), dweight, dbias);
      args.dx = dx.data<T>();
      args.accumulate = dx.accumulate;
      args.dresidual = dresidual.data<T>();
      args.accumulate_residual = dresidual.accumulate;
      kernels::run(ctx, kernels::batch_norm_backward, args);
    });
  }
};

/// Normalised by the running statistics, which are constants.
struct FrozenBatchNormNode : Node {
  const char* name() const override { return "batch_norm"; }
  Saved scale, y;       // y only with relu
  Normalization saved;  // only where weight or bias want a gradient

  void backward(Context& ctx) override {
    visit_float(output_gradient().dtype(), name(), [&](auto zero) {
      using T = decltype(zero);
      if (wants(kX) || wants(kResidual)) backward_rows<T>(ctx);
      if (!wants(kWeight) && !wants(kBias)) return;
      // The same sums as in training, about another mean.
      const GradientTarget dweight = target(ctx, kWeight), dbias = target(ctx, kBias);
      kernels::run(ctx, kernels::batch_norm_backward,
                   saved.backward_args<T>(output_gradient(), dweight, dbias));
    });
  }

  template <class T>
  void backward_rows(Context& ctx) {
    const GradientTarget dx = target(ctx, kX), dresidual = target(ctx, kResidual);
    const int64_t c = scale.get().numel();
    kernels::run(ctx, kernels::scale_shift_backward,
                 kernels::ScaleShiftBackwardArgs<T>{.rows = output_gradient().numel() / c,
                                                    .c = c,
                                                    .scale = scale.get().data<T>(),
                                                    .y = data_or_null<T>(y),
                                                    .dy = output_gradient().data<T>(),
                                                    .relu = y.defined(),
                                                    .dx = dx.data<T>(),
                                                    .accumulate = dx.accumulate,
                                                    .dresidual = dresidual.data<T>(),
                                                    .accumulate_residual = dresidual.accumulate});
  }
};

void check_shapes(const Var& x, const BatchNorm& p, const Var& residual) {
  check(x.shape().rank() >= 1 && x.dim(-1) >= 1, "batch_norm: expected x (..., C), C >= 1, found shape {}",
        x.shape().str());
  const Shape channels{x.dim(-1)};
  check(p.weight.shape() == channels && p.bias.shape() == channels && p.running_mean.shape() == channels &&
            p.running_var.shape() == channels,
        "batch_norm: x {} needs weight, bias, running_mean and running_var of shape {}, found {}, {}, {} and "
        "{}",
        x.shape().str(), channels.str(), p.weight.shape().str(), p.bias.shape().str(),
        p.running_mean.shape().str(), p.running_var.shape().str());
  if (!residual.defined()) return;
  check(residual.shape() == x.shape(), "batch_norm: the residual's shape {} is not x's, {}",
        residual.shape().str(), x.shape().str());
  check(x.value().numel() == 0 || residual.value().raw() != x.value().raw(),
        "batch_norm: the residual is x itself");
}

Var batch_norm_training(Context& ctx, const Var& x, const BatchNorm& p, const Var& residual, bool relu) {
  const int64_t c = x.dim(-1);
  const Tensor y = ctx.empty(x.shape(), x.dtype());
  const Tensor mean = ctx.empty({c}, x.dtype()), inverse_deviation = ctx.empty({c}, x.dtype());
  visit_float(x.dtype(), "batch_norm", [&](auto zero) {
    using T = decltype(zero);
    kernels::run(ctx, kernels::batch_norm,
                 kernels::BatchNormArgs<T>{.rows = x.value().numel() / c,
                                           .c = c,
                                           .x = x.value().data<T>(),
                                           .weight = p.weight.value().data<T>(),
                                           .bias = p.bias.value().data<T>(),
                                           .residual = data_or_null<T>(residual.value()),
                                           .relu = relu,
                                           .eps = static_cast<T>(p.eps),
                                           .momentum = static_cast<T>(p.momentum),
                                           .running_mean = p.running_mean.mutable_data<T>(),
                                           .running_var = p.running_var.mutable_data<T>(),
                                           .mean = mean.mutable_data<T>(),
                                           .inverse_deviation = inverse_deviation.mutable_data<T>(),
                                           .y = y.mutable_data<T>()});
  });
  if (!wants_gradient(ctx, {&x, &p.weight, &p.bias, &residual})) return Var(y);
  auto node = std::make_shared<BatchNormNode>();
  node->saved = {x.value(), p.weight.value(), mean, inverse_deviation, relu ? y : Tensor()};
  return record(ctx, node, {&x, &p.weight, &p.bias, &residual}, y);
}

Var batch_norm_frozen(Context& ctx, const Var& x, const BatchNorm& p, const Var& residual, bool relu) {
  const int64_t c = x.dim(-1);
  const FoldedBatchNorm folded = fold_batch_norm(ctx, p);
  const Tensor y = ctx.empty(x.shape(), x.dtype());
  visit_float(x.dtype(), "batch_norm", [&](auto zero) {
    using T = decltype(zero);
    kernels::run(ctx, kernels::scale_shift,
                 kernels::ScaleShiftArgs<T>{.rows = x.value().numel() / c,
                                            .c = c,
                                            .x = x.value().data<T>(),
                                            .scale = folded.scale.data<T>(),
                                            .shift = folded.shift.data<T>(),
                                            .residual = data_or_null<T>(residual.value()),
                                            .relu = relu,
                                            .y = y.mutable_data<T>()});
  });
  if (!wants_gradient(ctx, {&x, &p.weight, &p.bias, &residual})) return Var(y);
  auto node = std::make_shared<FrozenBatchNormNode>();
  node->scale = folded.scale;
  node->y = relu ? y : Tensor();
  if (p.weight.requires_grad() || p.bias.requires_grad())
    node->saved = {x.value(), p.weight.value(), p.running_mean, folded.inverse_deviation, node->y};
  return record(ctx, node, {&x, &p.weight, &p.bias, &residual}, y);
}

}  // namespace

Var batch_norm(Context& ctx, const Var& x, BatchNorm& parameters, const Var& residual, bool relu) {
  check_shapes(x, parameters, residual);
  return ctx.training ? batch_norm_training(ctx, x, parameters, residual, relu)
                      : batch_norm_frozen(ctx, x, parameters, residual, relu);
}

FoldedBatchNorm fold_batch_norm(Context& ctx, const BatchNorm& p) {
  const Shape channels = p.weight.shape();
  const DType dtype = p.weight.dtype();
  const FoldedBatchNorm folded{ctx.empty(channels, dtype), ctx.empty(channels, dtype),
                               ctx.empty(channels, dtype)};
  fold_batch_norm(ctx, p, folded);
  return folded;
}

void fold_batch_norm(Context& ctx, const BatchNorm& p, const FoldedBatchNorm& folded) {
  visit_float(p.weight.dtype(), "fold_batch_norm", [&](auto zero) {
    using T = decltype(zero);
    kernels::run(
        ctx, kernels::fold_batch_norm,
        kernels::FoldBatchNormArgs<T>{.c = p.weight.value().numel(),
                                      .weight = p.weight.value().data<T>(),
                                      .bias = p.bias.value().data<T>(),
                                      .running_mean = p.running_mean.data<T>(),
                                      .running_var = p.running_var.data<T>(),
                                      .eps = static_cast<T>(p.eps),
                                      .scale = folded.scale.mutable_data<T>(),
                                      .shift = folded.shift.mutable_data<T>(),
                                      .inverse_deviation = folded.inverse_deviation.mutable_data<T>()});
  });
}

}  // namespace rcnn
