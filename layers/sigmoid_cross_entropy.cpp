#include "layers/sigmoid_cross_entropy.h"

#include "kernels/loss/sigmoid_cross_entropy.h"

namespace rcnn {
namespace {

/// Rows per image of a level's array of n images, whatever its shape.
int64_t rows_of(const Tensor& level, int64_t n) { return n == 0 ? 0 : level.numel() / n; }

struct SigmoidCrossEntropyNode : Node {
  const char* name() const override { return "sigmoid_cross_entropy"; }
  std::vector<Saved> logits;
  Saved labels;

  void backward(Context& ctx) override {
    visit_float(output_gradient().dtype(), name(), [&](auto zero) {
      using T = decltype(zero);
      const int64_t n = labels.get().dim(0);
      kernels::SigmoidCrossEntropyBackwardArgs<T> args{};
      args.n = n;
      args.levels = static_cast<int>(logits.size());
      args.labels = labels.get().data<int32_t>();
      args.dloss = output_gradient().data<T>();
      for (size_t level = 0; level < logits.size(); ++level) {
        const Tensor& x = logits[level].get();
        const GradientTarget dx = target(ctx, level);
        args.logits[level] = {x.data<T>(), rows_of(x, n)};
        args.dlogits[level] = {dx.data<T>(), rows_of(x, n)};
        args.accumulate[level] = dx.accumulate;
      }
      kernels::run(ctx, kernels::sigmoid_cross_entropy_backward, args);
    });
  }
};

void check_shapes(const std::vector<Var>& logits, const Tensor& labels) {
  check(!logits.empty() && logits.size() <= kernels::kMaxLevels,
        "sigmoid_cross_entropy: expected 1 to {} levels, found {}", kernels::kMaxLevels, logits.size());
  check(labels.shape().rank() == 2, "sigmoid_cross_entropy: expected labels (N, rows), found shape {}",
        labels.shape().str());
  int64_t values = 0;
  for (const Var& level : logits) {
    check(
        level.shape().rank() >= 1 && level.dim(0) == labels.dim(0) && level.dtype() == logits[0].dtype(),
        "sigmoid_cross_entropy: a level has shape {} and type {}, but the labels {} are of {} images and the "
        "first level has type {}",
        level.shape().str(), name_of(level.dtype()), labels.shape().str(), labels.dim(0),
        name_of(logits[0].dtype()));
    values += level.value().numel();
  }
  check(values == labels.numel(), "sigmoid_cross_entropy: {} logits in all levels, but labels {}", values,
        labels.shape().str());
}

}  // namespace

Var sigmoid_cross_entropy(Context& ctx, const std::vector<Var>& logits, const Tensor& labels) {
  check_shapes(logits, labels);
  const Tensor loss = ctx.empty({}, logits[0].dtype());
  visit_float(loss.dtype(), "sigmoid_cross_entropy", [&](auto zero) {
    using T = decltype(zero);
    kernels::SigmoidCrossEntropyArgs<T> args{};
    args.n = labels.dim(0);
    args.levels = static_cast<int>(logits.size());
    for (size_t level = 0; level < logits.size(); ++level)
      args.logits[level] = {logits[level].value().data<T>(), rows_of(logits[level].value(), args.n)};
    args.labels = labels.data<int32_t>();
    args.loss = loss.mutable_data<T>();
    kernels::run(ctx, kernels::sigmoid_cross_entropy, args);
  });
  if (!wants_gradient(ctx, logits)) return Var(loss);
  auto node = std::make_shared<SigmoidCrossEntropyNode>();
  for (const Var& level : logits) node->logits.emplace_back(level.value());
  node->labels = labels;
  return record(ctx, node, logits, loss);
}

}  // namespace rcnn
