#include "layers/smooth_l1.h"

#include "kernels/loss/smooth_l1.h"

namespace rcnn {
namespace {

/// The number of images that the labels are for: (N, rows), or (rows) for one image.
int64_t images(const Tensor& labels) { return labels.shape().rank() == 2 ? labels.dim(0) : 1; }

/// Rows per image of a level's array, whatever its shape.
int64_t rows_of(const Tensor& level, int64_t n, int64_t columns) {
  return n == 0 ? 0 : level.numel() / (n * columns * 4);
}

struct SmoothL1Node : Node {
  const char* name() const override { return "smooth_l1"; }
  std::vector<Saved> prediction;
  Saved targets, labels;
  int64_t columns = 0;
  float beta = 0;

  void backward(Context& ctx) override {
    visit_float(output_gradient().dtype(), name(), [&](auto zero) {
      using T = decltype(zero);
      kernels::SmoothL1BackwardArgs<T> args{};
      args.n = images(labels.get());
      args.levels = static_cast<int>(prediction.size());
      args.columns = columns;
      args.targets = targets.get().data<float>();
      args.labels = labels.get().data<int32_t>();
      args.beta = beta;
      args.dloss = output_gradient().data<T>();
      for (size_t level = 0; level < prediction.size(); ++level) {
        const Tensor& x = prediction[level].get();
        const GradientTarget dx = target(ctx, level);
        args.prediction[level] = {x.data<T>(), rows_of(x, args.n, columns)};
        args.dprediction[level] = {dx.data<T>(), rows_of(x, args.n, columns)};
        args.accumulate[level] = dx.accumulate;
      }
      kernels::run(ctx, kernels::smooth_l1_backward, args);
    });
  }
};

void check_shapes(const std::vector<Var>& prediction, int64_t columns, const Tensor& targets,
                  const Tensor& labels, float beta) {
  check(!prediction.empty() && prediction.size() <= kernels::kMaxLevels,
        "smooth_l1: expected 1 to {} levels, found {}", kernels::kMaxLevels, prediction.size());
  check(columns >= 1 && beta >= 0, "smooth_l1: expected columns >= 1 and beta >= 0, found {} and {}", columns,
        beta);
  check(labels.shape().rank() == 2 || (labels.shape().rank() == 1 && prediction.size() == 1),
        "smooth_l1: expected labels (N, rows), or (rows) for one level, found shape {} for {} levels",
        labels.shape().str(), prediction.size());
  check(targets.numel() == labels.numel() * 4,
        "smooth_l1: targets {} do not hold four deltas for each of the labels {}", targets.shape().str(),
        labels.shape().str());
  const int64_t n = images(labels);
  int64_t values = 0;
  for (const Var& level : prediction) {
    const int64_t numel = level.value().numel();
    check(n == 0 ? numel == 0 : numel % (n * columns * 4) == 0,
          "smooth_l1: a level has shape {}, expected (N, rows, {} columns, 4) of {} images, as labels {}",
          level.shape().str(), columns, n, labels.shape().str());
    check(prediction.size() == 1 || (level.shape().rank() >= 1 && level.dim(0) == n),
          "smooth_l1: a level has shape {}, but labels {} are of {} images", level.shape().str(),
          labels.shape().str(), n);
    check(level.dtype() == prediction[0].dtype(),
          "smooth_l1: a level has type {}, but the first level has type {}", name_of(level.dtype()),
          name_of(prediction[0].dtype()));
    values += numel;
  }
  check(values == labels.numel() * columns * 4,
        "smooth_l1: {} predicted deltas in all levels, but labels {} and {} columns", values,
        labels.shape().str(), columns);
}

}  // namespace

Var smooth_l1(Context& ctx, const std::vector<Var>& prediction, int64_t columns, const Tensor& targets,
              const Tensor& labels, float beta) {
  check_shapes(prediction, columns, targets, labels, beta);
  const Tensor loss = ctx.empty({}, prediction[0].dtype());
  visit_float(loss.dtype(), "smooth_l1", [&](auto zero) {
    using T = decltype(zero);
    kernels::SmoothL1Args<T> args{};
    args.n = images(labels);
    args.levels = static_cast<int>(prediction.size());
    for (size_t level = 0; level < prediction.size(); ++level)
      args.prediction[level] = {prediction[level].value().data<T>(),
                                rows_of(prediction[level].value(), args.n, columns)};
    args.columns = columns;
    args.targets = targets.data<float>();
    args.labels = labels.data<int32_t>();
    args.beta = beta;
    args.loss = loss.mutable_data<T>();
    kernels::run(ctx, kernels::smooth_l1, args);
  });
  if (!wants_gradient(ctx, prediction)) return Var(loss);
  auto node = std::make_shared<SmoothL1Node>();
  for (const Var& level : prediction) node->prediction.emplace_back(level.value());
  node->targets = targets;
  node->labels = labels;
  node->columns = columns;
  node->beta = beta;
  return record(ctx, node, prediction, loss);
}

}  // namespace rcnn
