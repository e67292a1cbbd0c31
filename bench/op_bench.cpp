#include "bench/op_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "kernels/anchors_cases.h"
#include "kernels/batch_norm_cases.h"
#include "kernels/box_targets_cases.h"
#include "kernels/class_boxes_cases.h"
#include "kernels/conv2d_cases.h"
#include "kernels/epilogue_cases.h"
#include "kernels/gather_boxes_cases.h"
#include "kernels/group_norm_cases.h"
#include "kernels/match_cases.h"
#include "kernels/matmul_cases.h"
#include "kernels/max_pool_cases.h"
#include "kernels/nms_cases.h"
#include "kernels/preprocess_cases.h"
#include "kernels/proposals_cases.h"
#include "kernels/roi_align_cases.h"
#include "kernels/roi_cases.h"
#include "kernels/roi_pool_cases.h"
#include "kernels/sample_cases.h"
#include "kernels/scale_shift_cases.h"
#include "kernels/select_rois_cases.h"
#include "kernels/sgd_cases.h"
#include "kernels/sigmoid_cross_entropy_cases.h"
#include "kernels/smooth_l1_cases.h"
#include "kernels/softmax_cases.h"
#include "kernels/softmax_cross_entropy_cases.h"
#include "kernels/sum_cases.h"
#include "kernels/top_k_cases.h"
#include "kernels/upsample_add_cases.h"

namespace rcnn {
namespace {

using Clock = std::chrono::steady_clock;

template <class Prepared>
double bytes_of(const Prepared& p) {
  if (p.bytes > 0) return p.bytes;
  size_t bytes = 0;
  for (const Tensor& tensor : p.inputs) bytes += tensor.bytes();
  for (const Tensor& tensor : p.outputs) bytes += tensor.bytes();
  return static_cast<double>(bytes);
}

template <class Op, class Cases, class Prepare>
void bench_op(const OpBenchOptions& options, const Op& op, const Cases& cases, Prepare prepare) {
  Context ctx;
  for (size_t index = 0; index < cases.size(); ++index) {
    const auto p = prepare(cases[index], kernels::Filler(1, kernels::Fill::normal));
    std::string shapes;
    for (const Tensor& tensor : p.inputs)
      if (shapes.size() < 40) shapes += (shapes.empty() ? "" : " ") + tensor.shape().str();
    for (const auto& variant : op.variants) {
      if (variant.run == nullptr || variant.device != DeviceType::cpu) continue;
      if (variant.supports && !variant.supports(p.args)) continue;
      if (std::string_view(variant.name) == "reference" && p.flop > options.slowest * 1e9) continue;
      const auto run = [&] {
        const Workspace::Scope scope(ctx.workspace);
        const auto start = Clock::now();
        variant.run(ctx.stream, ctx.workspace, p.args);
        return std::chrono::duration<double>(Clock::now() - start).count();
      };
      std::vector<double> seconds;
      double spent = run();  // warm-up: primitives are made, memory is touched
      for (spent = 0; spent < options.seconds || seconds.size() < 3; spent += seconds.back())
        seconds.push_back(run());
      std::sort(seconds.begin(), seconds.end());
      const double median = seconds[seconds.size() / 2];
      fmt::print("{:<28} {:<18} {:>9.3f} ms {:>8} {:>7.1f} GB/s  {}\n", op.name, variant.name, median * 1e3,
                 p.flop > 0 ? fmt::format("{:.1f} GF/s", p.flop / median / 1e9) : "",
                 bytes_of(p) / median / 1e9, shapes);
    }
  }
}

/// Calls `f(op, bench cases, prepare)` for every op of the engine.
template <class F>
void for_each_op(F f) {
  using namespace kernels;
#define RCNN_OP(op, cases, prepare) f(op, cases, [](const auto& c, Filler fill) { return prepare(c, fill); })
  RCNN_OP(conv2d, conv2d_bench_cases, prepare_conv2d<float>);
  RCNN_OP(conv2d_dx, conv2d_bench_cases, prepare_conv2d_dx<float>);
  RCNN_OP(conv2d_dw, conv2d_bench_cases, prepare_conv2d_dw<float>);
  RCNN_OP(matmul, matmul_bench_cases, prepare_matmul<float>);
  RCNN_OP(epilogue_backward, epilogue_bench_cases, prepare_epilogue_backward<float>);
  RCNN_OP(batch_norm, batch_norm_bench_cases, prepare_batch_norm<float>);
  RCNN_OP(batch_norm_backward, batch_norm_bench_cases, prepare_batch_norm_backward<float>);
  RCNN_OP(fold_batch_norm, batch_norm_bench_cases, prepare_fold_batch_norm<float>);
  RCNN_OP(scale_shift, scale_shift_bench_cases, prepare_scale_shift<float>);
  RCNN_OP(scale_shift_backward, scale_shift_bench_cases, prepare_scale_shift_backward<float>);
  RCNN_OP(group_norm, group_norm_bench_cases, prepare_group_norm<float>);
  RCNN_OP(group_norm_backward, group_norm_bench_cases, prepare_group_norm_backward<float>);
  RCNN_OP(max_pool, max_pool_bench_cases, prepare_max_pool<float>);
  RCNN_OP(max_pool_backward, max_pool_bench_cases, prepare_max_pool_backward<float>);
  RCNN_OP(upsample_add, upsample_add_bench_cases, prepare_upsample_add<float>);
  RCNN_OP(upsample_add_backward, upsample_add_bench_cases, prepare_upsample_add_backward<float>);
  RCNN_OP(preprocess, preprocess_bench_cases, prepare_preprocess<float>);
  RCNN_OP(anchors, anchors_bench_cases, prepare_anchors);
  RCNN_OP(top_k, top_k_bench_cases, prepare_top_k);
  RCNN_OP(proposals, proposals_bench_cases, prepare_proposals);
  RCNN_OP(nms, nms_bench_cases, prepare_nms);
  RCNN_OP(gather_boxes, gather_boxes_bench_cases, prepare_gather_boxes);
  RCNN_OP(match, match_bench_cases, prepare_match);
  RCNN_OP(sample, sample_bench_cases, prepare_sample);
  RCNN_OP(box_targets, box_targets_bench_cases, prepare_box_targets);
  RCNN_OP(select_rois, select_rois_bench_cases, prepare_select_rois);
  RCNN_OP(roi_align, roi_align_bench_cases, prepare_roi_align<float>);
  RCNN_OP(roi_align_backward, roi_align_bench_cases, prepare_roi_align_backward<float>);
  RCNN_OP(roi_pool, roi_pool_bench_cases, prepare_roi_pool<float>);
  RCNN_OP(roi_pool_backward, roi_pool_bench_cases, prepare_roi_pool_backward<float>);
  RCNN_OP(softmax, softmax_bench_cases, prepare_softmax<float>);
  RCNN_OP(softmax_cross_entropy, softmax_cross_entropy_bench_cases, prepare_softmax_cross_entropy<float>);
  RCNN_OP(softmax_cross_entropy_backward, softmax_cross_entropy_bench_cases,
          prepare_softmax_cross_entropy_backward<float>);
  RCNN_OP(sigmoid_cross_entropy, sigmoid_cross_entropy_bench_cases, prepare_sigmoid_cross_entropy<float>);
  RCNN_OP(sigmoid_cross_entropy_backward, sigmoid_cross_entropy_bench_cases,
          prepare_sigmoid_cross_entropy_backward<float>);
  RCNN_OP(smooth_l1, smooth_l1_bench_cases, prepare_smooth_l1<float>);
  RCNN_OP(smooth_l1_backward, smooth_l1_bench_cases, prepare_smooth_l1_backward<float>);
  RCNN_OP(add, add_bench_cases, prepare_add<float>);
  RCNN_OP(weighted_sum, weighted_sum_bench_cases, prepare_weighted_sum<float>);
  RCNN_OP(class_boxes, class_boxes_bench_cases, prepare_class_boxes);
  RCNN_OP(clip_gradients, sgd_bench_cases, prepare_clip_gradients);
  RCNN_OP(sgd, sgd_bench_cases, prepare_sgd);
#undef RCNN_OP
}

}  // namespace

void bench_ops(const OpBenchOptions& options) {
  for_each_op([&](const auto& op, auto cases, auto prepare) {
    if (std::string_view(op.name).find(options.op) != std::string_view::npos)
      bench_op(options, op, cases(), prepare);
  });
}

std::set<std::string> op_families() {
  std::set<std::string> families;
  for_each_op([&](const auto& op, auto, auto) { families.insert(op.family); });
  return families;
}

}  // namespace rcnn
