#include "layers/batch_norm.h"

#include "kernels/norm/batch_norm.h"
#include "layers/batch_meeting.h"

namespace rcnn {
namespace {

struct BatchNormNode : Node {
  const char* name() const override { return "batch_norm"; }
  enum Input { kX, kWeight, kBias, kResidual };
  Saved x, weight, mean, inverse_deviation, y;  // y only with relu
  BatchMeeting* meeting = nullptr;              // null: normalised alone

  void backward(Context& ctx) override {
    const GradientTarget dx = target(ctx, kX), dweight = target(ctx, kWeight), dbias = target(ctx, kBias),
                         dresidual = target(ctx, kResidual);
    visit_float(output_gradient().dtype(), name(), [&](auto zero) {
      using T = decltype(zero);
      kernels::SyncBatchNormBackwardArgs<T> args{};
      args.c = weight.get().numel();
      args.rows = x.get().numel() / args.c;
      args.x = x.get().data<T>();
      args.weight = weight.get().data<T>();
      args.mean = mean.get().data<T>();
      args.inverse_deviation = inverse_deviation.get().data<T>();
      args.y = data_or_null<T>(y);
      args.dy = output_gradient().data<T>();
      args.relu = y.defined();
      args.dx = dx.data<T>();
      args.accumulate = dx.accumulate;
      args.dweight = dweight.data<T>();
      args.accumulate_weight = dweight.accumulate;
      args.dbias = dbias.data<T>();
      args.accumulate_bias = dbias.accumulate;
      args.dresidual = dresidual.data<T>();
      args.accumulate_residual = dresidual.accumulate;
      if (meeting)
        backward_together(ctx, args);
      else
        kernels::run(ctx, kernels::batch_norm_backward,
                     static_cast<const kernels::BatchNormBackwardArgs<T>&>(args));
    });
  }

 private:
  template <class T>
  void backward_together(Context& ctx, kernels::SyncBatchNormBackwardArgs<T>& args) {
    const Tensor mine = ctx.empty({kernels::batch_norm_row(args.c)}, DType::f64);
    kernels::run(ctx, kernels::batch_norm_gradient_sums,
                 kernels::BatchNormGradientSumsArgs<T>{.rows = args.rows,
                                                       .c = args.c,
                                                       .x = args.x,
                                                       .mean = args.mean,
                                                       .y = args.y,
                                                       .dy = args.dy,
                                                       .relu = args.relu,
                                                       .dresidual = args.dresidual,
                                                       .accumulate_residual = args.accumulate_residual,
                                                       .sums = mine.mutable_data<double>()});
    args.dresidual = nullptr;
    const Tensor sums = meeting->of_all(ctx, mine);
    args.batches = sums.dim(0);
    args.own = static_cast<int64_t>(ctx.micro_batch);
    args.sums = sums.data<double>();
    kernels::run(ctx, kernels::sync_batch_norm_backward, args);
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
  check(residual.shape() == x.shape(), "batch_norm: the residual has shape {}, expected that of x, {}",
        residual.shape().str(), x.shape().str());
  check(x.value().numel() == 0 || residual.value().raw() != x.value().raw(),
        "batch_norm: residual and x must not share memory");
}

/// The moments of all batches that are normalised together.
template <class T>
Tensor moments_of_all(Context& ctx, BatchMeeting& meeting, const kernels::BatchNormArgs<T>& args) {
  const Tensor mine = ctx.empty({kernels::batch_norm_row(args.c)}, DType::f64);
  kernels::run(ctx, kernels::batch_norm_moments,
               kernels::BatchNormMomentsArgs<T>{
                   .rows = args.rows, .c = args.c, .x = args.x, .moments = mine.mutable_data<double>()});
  return meeting.of_all(ctx, mine);
}

}  // namespace

Var batch_norm(Context& ctx, const Var& x, BatchNorm& p, const Var& residual, bool relu) {
  check_shapes(x, p, residual);
  check(ctx.training,
        "batch_norm uses the statistics of the batch, which is for training only: in evaluation use "
        "fold_batch_norm, which gives the running statistics to the epilogue of the convolution");
  const int64_t c = x.dim(-1);
  const Tensor y = ctx.empty(x.shape(), x.dtype());
  const Tensor mean = ctx.empty({c}, x.dtype()), inverse_deviation = ctx.empty({c}, x.dtype());
  BatchMeeting* meeting = meeting_of(ctx);
  visit_float(x.dtype(), "batch_norm", [&](auto zero) {
    using T = decltype(zero);
    kernels::SyncBatchNormArgs<T> args{};
    args.rows = x.value().numel() / c;
    args.c = c;
    args.x = x.value().data<T>();
    const Tensor moments = meeting ? moments_of_all(ctx, *meeting, args) : Tensor();
    args.weight = p.weight.value().data<T>();
    args.bias = p.bias.value().data<T>();
    args.residual = data_or_null<T>(residual.value());
    args.relu = relu;
    args.eps = static_cast<T>(p.eps);
    args.momentum = static_cast<T>(p.momentum);
    if (!meeting || meeting->moves_statistics()) {
      args.running_mean = p.running_mean.mutable_data<T>();
      args.running_var = p.running_var.mutable_data<T>();
    }
    args.mean = mean.mutable_data<T>();
    args.inverse_deviation = inverse_deviation.mutable_data<T>();
    args.y = y.mutable_data<T>();
    if (!meeting)
      return kernels::run(ctx, kernels::batch_norm, static_cast<const kernels::BatchNormArgs<T>&>(args));
    args.batches = moments.dim(0);
    args.moments = moments.data<double>();
    kernels::run(ctx, kernels::sync_batch_norm, args);
  });
  if (!wants_gradient(ctx, {&x, &p.weight, &p.bias, &residual})) return Var(y);
  auto node = std::make_shared<BatchNormNode>();
  node->x = x.value();
  node->weight = p.weight.value();
  node->mean = mean;
  node->inverse_deviation = inverse_deviation;
  if (relu) node->y = y;
  node->meeting = meeting;
  return record(ctx, node, {&x, &p.weight, &p.bias, &residual}, y);
}

FoldedBatchNorm fold_batch_norm(Context& ctx, const BatchNorm& p) {
  const Shape channels = p.weight.shape();
  const DType dtype = p.weight.dtype();
  const FoldedBatchNorm folded{ctx.empty(channels, dtype), ctx.empty(channels, dtype)};
  fold_batch_norm(ctx, p, folded);
  return folded;
}

void fold_batch_norm(Context& ctx, const BatchNorm& p, const FoldedBatchNorm& folded) {
  visit_float(p.weight.dtype(), "fold_batch_norm", [&](auto zero) {
    using T = decltype(zero);
    kernels::run(ctx, kernels::fold_batch_norm,
                 kernels::FoldBatchNormArgs<T>{.c = p.weight.value().numel(),
                                               .weight = p.weight.value().data<T>(),
                                               .bias = p.bias.value().data<T>(),
                                               .running_mean = p.running_mean.data<T>(),
                                               .running_var = p.running_var.data<T>(),
                                               .eps = static_cast<T>(p.eps),
                                               .scale = folded.scale.mutable_data<T>(),
                                               .shift = folded.shift.mutable_data<T>()});
  });
}

}  // namespace rcnn
