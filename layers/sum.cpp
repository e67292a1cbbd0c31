#include "layers/sum.h"

#include <algorithm>

#include "kernels/elementwise/sum.h"

namespace rcnn {
namespace {

struct WeightedSumNode : Node {
  const char* name() const override { return "weighted_sum"; }
  std::vector<double> weights;

  void backward(Context& ctx) override {
    visit_float(output_gradient().dtype(), name(), [&](auto zero) {
      using T = decltype(zero);
      kernels::WeightedSumBackwardArgs<T> args{};
      args.terms = static_cast<int>(weights.size());
      std::copy(weights.begin(), weights.end(), args.weights);
      args.dy = output_gradient().data<T>();
      for (size_t i = 0; i < weights.size(); ++i) {
        const GradientTarget dvalue = target(ctx, i);
        args.dvalues[i] = dvalue.data<T>();
        args.accumulate[i] = dvalue.accumulate;
      }
      kernels::run(ctx, kernels::weighted_sum_backward, args);
    });
  }
};

}  // namespace

Var weighted_sum(Context& ctx, const std::vector<Var>& scalars, const std::vector<double>& weights) {
  check(!scalars.empty() && scalars.size() <= kernels::kMaxTerms && weights.size() == scalars.size(),
        "weighted_sum: expected 1 to {} terms and a weight for each, found {} terms and {} weights",
        kernels::kMaxTerms, scalars.size(), weights.size());
  for (const Var& scalar : scalars)
    check(scalar.value().numel() == 1 && scalar.dtype() == scalars[0].dtype(),
          "weighted_sum: expected terms of one {} element, found shape {} of {}", name_of(scalars[0].dtype()),
          scalar.shape().str(), name_of(scalar.dtype()));
  const Tensor y = ctx.empty({}, scalars[0].dtype());
  visit_float(y.dtype(), "weighted_sum", [&](auto zero) {
    using T = decltype(zero);
    kernels::WeightedSumArgs<T> args{};
    args.terms = static_cast<int>(scalars.size());
    for (size_t i = 0; i < scalars.size(); ++i) args.values[i] = scalars[i].value().data<T>();
    std::copy(weights.begin(), weights.end(), args.weights);
    args.y = y.mutable_data<T>();
    kernels::run(ctx, kernels::weighted_sum, args);
  });
  if (!wants_gradient(ctx, scalars)) return Var(y);
  auto node = std::make_shared<WeightedSumNode>();
  node->weights = weights;
  return record(ctx, node, scalars, y);
}

}  // namespace rcnn
