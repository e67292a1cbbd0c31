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
  if (std::string_view(op.name).find(options.op) == std::string_view::npos) return;
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

}  // namespace

void bench_ops(const OpBenchOptions& options) {
  using namespace kernels;
#define RCNN_BENCH(op, cases, prepare) \
  bench_op(options, op, cases(), [](const auto& c, Filler fill) { return prepare(c, fill); })
  RCNN_BENCH(conv2d, conv2d_bench_cases, prepare_conv2d<float>);
  RCNN_BENCH(conv2d_dx, conv2d_bench_cases, prepare_conv2d_dx<float>);
  RCNN_BENCH(conv2d_dw, conv2d_bench_cases, prepare_conv2d_dw<float>);
  RCNN_BENCH(matmul, matmul_bench_cases, prepare_matmul<float>);
  RCNN_BENCH(epilogue_backward, epilogue_bench_cases, prepare_epilogue_backward<float>);
  RCNN_BENCH(batch_norm, batch_norm_bench_cases, prepare_batch_norm<float>);
  RCNN_BENCH(batch_norm_backward, batch_norm_bench_cases, prepare_batch_norm_backward<float>);
  RCNN_BENCH(scale_shift, scale_shift_bench_cases, prepare_scale_shift<float>);
  RCNN_BENCH(scale_shift_backward, scale_shift_bench_cases, prepare_scale_shift_backward<float>);
  RCNN_BENCH(group_norm, group_norm_bench_cases, prepare_group_norm<float>);
  RCNN_BENCH(group_norm_backward, group_norm_bench_cases, prepare_group_norm_backward<float>);
  RCNN_BENCH(max_pool, max_pool_bench_cases, prepare_max_pool<float>);
  RCNN_BENCH(max_pool_backward, max_pool_bench_cases, prepare_max_pool_backward<float>);
  RCNN_BENCH(upsample_add, upsample_add_bench_cases, prepare_upsample_add<float>);
  RCNN_BENCH(upsample_add_backward, upsample_add_bench_cases, prepare_upsample_add_backward<float>);
  RCNN_BENCH(preprocess, preprocess_bench_cases, prepare_preprocess<float>);
  RCNN_BENCH(anchors, anchors_bench_cases, prepare_anchors);
  RCNN_BENCH(top_k, top_k_bench_cases, prepare_top_k);
  RCNN_BENCH(proposals, proposals_bench_cases, prepare_proposals);
  RCNN_BENCH(nms, nms_bench_cases, prepare_nms);
  RCNN_BENCH(gather_boxes, gather_boxes_bench_cases, prepare_gather_boxes);
  RCNN_BENCH(match, match_bench_cases, prepare_match);
  RCNN_BENCH(sample, sample_bench_cases, prepare_sample);
  RCNN_BENCH(box_targets, box_targets_bench_cases, prepare_box_targets);
  RCNN_BENCH(select_rois, select_rois_bench_cases, prepare_select_rois);
  RCNN_BENCH(roi_align, roi_align_bench_cases, prepare_roi_align<float>);
  RCNN_BENCH(roi_align_backward, roi_align_bench_cases, prepare_roi_align_backward<float>);
  RCNN_BENCH(roi_pool, roi_pool_bench_cases, prepare_roi_pool<float>);
  RCNN_BENCH(roi_pool_backward, roi_pool_bench_cases, prepare_roi_pool_backward<float>);
  RCNN_BENCH(softmax, softmax_bench_cases, prepare_softmax<float>);
  RCNN_BENCH(softmax_cross_entropy, softmax_cross_entropy_bench_cases, prepare_softmax_cross_entropy<float>);
  RCNN_BENCH(sigmoid_cross_entropy, sigmoid_cross_entropy_bench_cases, prepare_sigmoid_cross_entropy<float>);
  RCNN_BENCH(smooth_l1, smooth_l1_bench_cases, prepare_smooth_l1<float>);
  RCNN_BENCH(smooth_l1_backward, smooth_l1_bench_cases, prepare_smooth_l1_backward<float>);
  RCNN_BENCH(class_boxes, class_boxes_bench_cases, prepare_class_boxes);
  RCNN_BENCH(clip_gradients, sgd_bench_cases, prepare_clip_gradients);
  RCNN_BENCH(sgd, sgd_bench_cases, prepare_sgd);
#undef RCNN_BENCH
}

}  // namespace rcnn
