#include "layers/roi_align.h"

#include "kernels/roi/roi_align.h"
#include "layers/roi_checks.h"

namespace rcnn {
namespace {

struct RoiAlignNode : Node {
  const char* name() const override { return "roi_align"; }
  kernels::RoiAlignGrid grid{};  // backward sets its pointers to rois and count
  Saved rois, count;

  void backward(Context& ctx) override {
    grid.rois = rois.get().data<float>();
    grid.count = data_or_null<int32_t>(count);
    visit_float(output_gradient().dtype(), name(), [&](auto zero) {
      using T = decltype(zero);
      kernels::RoiAlignBackwardArgs<T> args{};
      static_cast<kernels::RoiAlignGrid&>(args) = grid;
      args.dy = output_gradient().data<T>();
      for (int l = 0; l < grid.levels; ++l) {
        const GradientTarget dx = target(ctx, static_cast<size_t>(l));
        args.dx[l] = dx.data<T>();
        args.accumulate[l] = dx.accumulate;
      }
      kernels::run(ctx, kernels::roi_align_backward, args);
    });
  }
};

}  // namespace

Var roi_align(Context& ctx, const std::vector<Var>& levels, const Tensor& rois, const Tensor& count,
              const RoiAlignConfig& config) {
  check(config.sampling >= 0, "roi_align: sampling is {}, expected 0 (adaptive) or more", config.sampling);
  kernels::RoiAlignGrid grid{checked_roi_levels("roi_align", levels, rois, count, config.height, config.width,
                                                config.scales, config.canonical_size, config.canonical_level),
                             config.sampling, config.aligned};
  Tensor y = ctx.empty({grid.n * grid.r, grid.ph, grid.pw, grid.c}, levels[0].dtype());
  visit_float(y.dtype(), "roi_align", [&](auto zero) {
    using T = decltype(zero);
    kernels::RoiAlignArgs<T> args{};
    static_cast<kernels::RoiAlignGrid&>(args) = grid;
    for (size_t l = 0; l < levels.size(); ++l) args.x[l] = levels[l].value().data<T>();
    args.y = y.mutable_data<T>();
    kernels::run(ctx, kernels::roi_align, args);
  });
  if (!wants_gradient(ctx, levels)) return Var(y);
  auto node = std::make_shared<RoiAlignNode>();
  node->grid = grid;
  node->rois = rois;
  node->count = count;
  return record(ctx, node, levels, y);
}

}  // namespace rcnn
