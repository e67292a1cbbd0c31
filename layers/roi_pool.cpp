#include "layers/roi_pool.h"

#include "kernels/roi/roi_pool.h"
#include "layers/roi_checks.h"

namespace rcnn {
namespace {

struct RoiPoolNode : Node {
  const char* name() const override { return "roi_pool"; }
  kernels::RoiLevels sizes{};  // backward sets its pointers to rois and count
  Saved rois, count, argmax;

  void backward(Context& ctx) override {
    sizes.rois = rois.get().data<float>();
    sizes.count = data_or_null<int32_t>(count);
    visit_float(output_gradient().dtype(), name(), [&](auto zero) {
      using T = decltype(zero);
      kernels::RoiPoolBackwardArgs<T> args{};
      static_cast<kernels::RoiLevels&>(args) = sizes;
      args.dy = output_gradient().data<T>();
      args.argmax = argmax.get().data<int32_t>();
      for (int l = 0; l < sizes.levels; ++l) {
        const GradientTarget dx = target(ctx, static_cast<size_t>(l));
        args.dx[l] = dx.data<T>();
        args.accumulate[l] = dx.accumulate;
      }
      kernels::run(ctx, kernels::roi_pool_backward, args);
    });
  }
};

}  // namespace

Var roi_pool(Context& ctx, const std::vector<Var>& levels, const Tensor& rois, const Tensor& count,
             const RoiPoolConfig& config) {
  const kernels::RoiLevels sizes =
      checked_roi_levels("roi_pool", levels, rois, count, config.height, config.width, config.scales,
                         config.canonical_size, config.canonical_level);
  Tensor y = ctx.empty({sizes.n * sizes.r, sizes.ph, sizes.pw, sizes.c}, levels[0].dtype());
  const Tensor argmax = ctx.empty(y.shape(), DType::i32);
  visit_float(y.dtype(), "roi_pool", [&](auto zero) {
    using T = decltype(zero);
    kernels::RoiPoolArgs<T> args{};
    static_cast<kernels::RoiLevels&>(args) = sizes;
    for (size_t l = 0; l < levels.size(); ++l) args.x[l] = levels[l].value().data<T>();
    args.y = y.mutable_data<T>();
    args.argmax = argmax.mutable_data<int32_t>();
    kernels::run(ctx, kernels::roi_pool, args);
  });
  if (!wants_gradient(ctx, levels)) return Var(y);
  auto node = std::make_shared<RoiPoolNode>();
  node->sizes = sizes;
  node->rois = rois;
  node->count = count;
  node->argmax = argmax;
  return record(ctx, node, levels, y);
}

}  // namespace rcnn
