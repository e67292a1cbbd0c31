#include "layers/group_norm.h"

#include "kernels/norm/group_norm.h"

namespace rcnn {
namespace {

struct GroupNormNode : Node {
  const char* name() const override { return "group_norm"; }
  Saved x, weight, mean, inverse_deviation, y;  // y only with relu
  int64_t n = 0, rows = 0, c = 0, groups = 0;
  bool relu = false;

  void backward(Context& ctx) override {
    const GradientTarget dx = target(ctx, 0), dweight = target(ctx, 1), dbias = target(ctx, 2),
                         dresidual = target(ctx, 3);
    visit_float(x.get().dtype(), name(), [&](auto zero) {
      using T = decltype(zero);
      kernels::GroupNormBackwardArgs<T> args{};
      args.n = n;
      args.rows = rows;
      args.c = c;
      args.groups = groups;
      args.x = x.get().data<T>();
      args.weight = weight.get().data<T>();
      args.mean = mean.get().data<T>();
      args.inverse_deviation = inverse_deviation.get().data<T>();
      args.y = data_or_null<T>(y);
      args.dy = output_gradient().data<T>();
      args.relu = relu;
      args.dx = dx.data<T>();
      args.accumulate = dx.accumulate;
      args.dweight = dweight.data<T>();
      args.accumulate_weight = dweight.accumulate;
      args.dbias = dbias.data<T>();
      args.accumulate_bias = dbias.accumulate;
      args.dresidual = dresidual.data<T>();
      args.accumulate_residual = dresidual.accumulate;
      kernels::run(ctx, kernels::group_norm_backward, args);
    });
  }
};

void check_shapes(const Var& x, const GroupNorm& p, const Var& residual) {
  check(x.shape().rank() >= 2 && x.dim(-1) >= 1, "group_norm: expected x (N, ..., C), C >= 1, found shape {}",
        x.shape().str());
  const Shape channels{x.dim(-1)};
  check(p.weight.shape() == channels && p.bias.shape() == channels,
        "group_norm: x {} needs weight and bias of shape {}, found {} and {}", x.shape().str(),
        channels.str(), p.weight.shape().str(), p.bias.shape().str());
  check(p.groups >= 1 && x.dim(-1) % p.groups == 0,
        "group_norm: {} channels cannot be divided into {} groups", x.dim(-1), p.groups);
  if (!residual.defined()) return;
  check(residual.shape() == x.shape(), "group_norm: the residual has shape {}, expected that of x, {}",
        residual.shape().str(), x.shape().str());
  check(x.value().numel() == 0 || residual.value().raw() != x.value().raw(),
        "group_norm: residual and x must not share memory");
}

}  // namespace

Var group_norm(Context& ctx, const Var& x, const GroupNorm& p, const Var& residual, bool relu) {
  check_shapes(x, p, residual);
  auto node = std::make_shared<GroupNormNode>();
  node->n = x.dim(0);
  node->c = x.dim(-1);
  node->rows = 1;
  for (int i = 1; i + 1 < x.shape().rank(); ++i) node->rows *= x.dim(i);
  node->groups = p.groups;
  node->relu = relu;
  const Tensor y = ctx.empty(x.shape(), x.dtype());
  const Tensor mean = ctx.empty({node->n, p.groups}, x.dtype());
  const Tensor inverse_deviation = ctx.empty(mean.shape(), x.dtype());
  run_in(ctx, x.dtype(), kernels::group_norm, [&]<class T>(kernels::GroupNormArgs<T>& args) {
    args = {.n = node->n,
            .rows = node->rows,
            .c = node->c,
            .groups = p.groups,
            .x = x.value().data<T>(),
            .weight = p.weight.value().data<T>(),
            .bias = p.bias.value().data<T>(),
            .residual = residual.defined() ? residual.value().data<T>() : nullptr,
            .relu = relu,
            .eps = static_cast<T>(p.eps),
            .mean = mean.mutable_data<T>(),
            .inverse_deviation = inverse_deviation.mutable_data<T>(),
            .y = y.mutable_data<T>()};
  });
  if (!wants_gradient(ctx, {&x, &p.weight, &p.bias, &residual})) return Var(y);
  node->x = x.value();
  node->weight = p.weight.value();
  node->mean = mean;
  node->inverse_deviation = inverse_deviation;
  if (relu) node->y = y;
  return record(ctx, node, {&x, &p.weight, &p.bias, &residual}, y);
}

}  // namespace rcnn
