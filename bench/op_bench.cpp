#include "bench/op_bench.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bench/timing.h"
#include "core/cuda/device.h"
#include "core/files/atomic_file.h"
#include "kernels/boxes/anchors_cases.h"
#include "kernels/boxes/box_targets_cases.h"
#include "kernels/boxes/class_boxes_cases.h"
#include "kernels/boxes/gather_boxes_cases.h"
#include "kernels/boxes/match_cases.h"
#include "kernels/boxes/nms_cases.h"
#include "kernels/boxes/proposals_cases.h"
#include "kernels/boxes/sample_cases.h"
#include "kernels/boxes/select_rois_cases.h"
#include "kernels/boxes/top_k_cases.h"
#include "kernels/cases_device.h"
#include "kernels/elementwise/dropout_cases.h"
#include "kernels/elementwise/logit_difference_cases.h"
#include "kernels/elementwise/softmax_cases.h"
#include "kernels/elementwise/sum_cases.h"
#include "kernels/gemm/conv2d_cases.h"
#include "kernels/gemm/epilogue_cases.h"
#include "kernels/gemm/matmul_cases.h"
#include "kernels/loss/sigmoid_cross_entropy_cases.h"
#include "kernels/loss/smooth_l1_cases.h"
#include "kernels/loss/softmax_cross_entropy_cases.h"
#include "kernels/norm/batch_norm_cases.h"
#include "kernels/norm/group_norm_cases.h"
#include "kernels/norm/scale_shift_cases.h"
#include "kernels/optim/moving_average_cases.h"
#include "kernels/optim/sgd_cases.h"
#include "kernels/roi/roi_align_cases.h"
#include "kernels/roi/roi_cases.h"
#include "kernels/roi/roi_pool_cases.h"
#include "kernels/spatial/average_pool_cases.h"
#include "kernels/spatial/max_pool_cases.h"
#include "kernels/spatial/preprocess_cases.h"
#include "kernels/spatial/upsample_add_cases.h"

namespace rcnn {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kWidth = 100;          // columns of the table
constexpr double kMostSimulated = 3e7;  // FLOP or bytes of a case that a simulated GPU runs

const char* name_of(Precision precision) {
  return precision == Precision::f32 ? "f32" : precision == Precision::tf32 ? "tf32" : "bf16";
}

template <class Prepared>
double bytes_of(const Prepared& p) {
  if (p.bytes > 0) return p.bytes;
  size_t bytes = 0;
  for (const Tensor& tensor : p.inputs) bytes += tensor.bytes();
  for (const Tensor& tensor : p.outputs) bytes += tensor.bytes();
  return static_cast<double>(bytes);
}

std::vector<std::vector<int64_t>> shapes_of(const std::vector<Tensor>& tensors) {
  std::vector<std::vector<int64_t>> shapes;
  for (const Tensor& tensor : tensors) shapes.emplace_back(tensor.shape().begin(), tensor.shape().end());
  return shapes;
}

void print_case(const char* op, const std::vector<Tensor>& inputs) {
  std::string line = op;
  for (const Tensor& tensor : inputs)
    if (line.size() < kWidth) line += " " + tensor.shape().str();
  if (line.size() > kWidth) line = line.substr(0, kWidth - 4) + " ...";
  fmt::print("{}\n", line);
}

void print_variant(const char* name, Precision precision, double seconds, double flop, double bytes) {
  fmt::print("  {:<34} {:<4} {:>12.4f} ms {:>16} {:>11.1f} GB/s\n", name, name_of(precision), seconds * 1e3,
             flop > 0 ? fmt::format("{:.1f} GFLOP/s", flop / seconds * 1e-9) : "", bytes / seconds * 1e-9);
}

/// Times the variants of an op on its cases, prints them, and appends them to `rows`. Gives the number of
/// those that failed.
template <class Op, class Cases, class Prepare>
int bench_op(const OpBenchOptions& options, Device device, const Op& op, const Cases& cases, Prepare prepare,
             Json& rows) {
  Context ctx(device);
  const bool on_gpu = device.type == DeviceType::cuda, simulated = on_gpu && cuda::is_simulated();
  int failures = 0;
  for (size_t index = 0; index < cases.size(); ++index) {
    const auto host = prepare(cases[index], kernels::Filler(1, kernels::Fill::normal));
    const double bytes = bytes_of(host);
    if (simulated && std::max(host.flop, bytes) > kMostSimulated) continue;
    const auto p = on_gpu ? kernels::on_device(host, device) : host;
    print_case(op.name, p.inputs);
    for (const auto& variant : op.variants) {
      if (!kernels::fits(ctx, variant, p.args)) continue;
      if (std::string_view(variant.name) == "reference" && p.flop > options.slowest * 1e9) continue;
      const auto run = [&] {
        const Workspace::Scope scope(ctx.workspace);
        variant.run(ctx.stream, ctx.workspace, p.args);
        if (simulated) cuda::synchronize(device);
      };
      Json row{{"op", op.name},
               {"case", index},
               {"variant", variant.name},
               {"precision", name_of(variant.backend.precision)},
               {"inputs", shapes_of(p.inputs)},
               {"outputs", shapes_of(p.outputs)}};
      try {
        const Timing timing = simulated ? time_on_cpu(run, 0)
                              : on_gpu  ? time_on_gpu(ctx, run, options.seconds)
                                        : time_on_cpu(run, options.seconds);
        print_variant(variant.name, variant.backend.precision, timing.seconds, p.flop, bytes);
        row["graph"] = timing.graph;
        row["ms"] = timing.seconds * 1e3;
        row["gflops"] = p.flop > 0 ? Json(p.flop / timing.seconds * 1e-9) : Json();
        row["gbs"] = bytes / timing.seconds * 1e-9;
      } catch (const Error& error) {
        fmt::print("  {:<34} failed: {}\n", variant.name, error.what());
        row["error"] = error.what();
        ++failures;
      }
      rows.push_back(row);
    }
  }
  return failures;
}

/// Calls `f(op, bench cases, prepare)` for every op of the engine.
template <class F>
void for_each_op(F f) {
  using namespace kernels;
#define RCNN_OP(op, cases, prepare) f(op, cases, [](const auto& c, Filler fill) { return prepare(c, fill); })
  RCNN_OP(conv2d, conv2d_bench_cases, prepare_conv2d<float>);
  RCNN_OP(conv2d_dx, conv2d_gradient_bench_cases, prepare_conv2d_dx<float>);
  RCNN_OP(conv2d_dw, conv2d_gradient_bench_cases, prepare_conv2d_dw<float>);
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
  RCNN_OP(average_pool, average_pool_bench_cases, prepare_average_pool<float>);
  RCNN_OP(average_pool_backward, average_pool_bench_cases, prepare_average_pool_backward<float>);
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
  RCNN_OP(dropout, dropout_bench_cases, prepare_dropout<float>);
  RCNN_OP(dropout_backward, dropout_bench_cases, prepare_dropout_backward<float>);
  RCNN_OP(softmax, softmax_bench_cases, prepare_softmax<float>);
  RCNN_OP(softmax_cross_entropy, softmax_cross_entropy_bench_cases, prepare_softmax_cross_entropy<float>);
  RCNN_OP(softmax_cross_entropy_backward, softmax_cross_entropy_bench_cases,
          prepare_softmax_cross_entropy_backward<float>);
  RCNN_OP(sigmoid_cross_entropy, sigmoid_cross_entropy_bench_cases, prepare_sigmoid_cross_entropy<float>);
  RCNN_OP(sigmoid_cross_entropy_backward, sigmoid_cross_entropy_bench_cases,
          prepare_sigmoid_cross_entropy_backward<float>);
  RCNN_OP(logit_difference, logit_difference_bench_cases, prepare_logit_difference<float>);
  RCNN_OP(logit_difference_backward, logit_difference_bench_cases, prepare_logit_difference_backward<float>);
  RCNN_OP(smooth_l1, smooth_l1_bench_cases, prepare_smooth_l1<float>);
  RCNN_OP(smooth_l1_backward, smooth_l1_bench_cases, prepare_smooth_l1_backward<float>);
  RCNN_OP(add, add_bench_cases, prepare_add<float>);
  RCNN_OP(weighted_sum, weighted_sum_bench_cases, prepare_weighted_sum<float>);
  RCNN_OP(class_boxes, class_boxes_bench_cases, prepare_class_boxes);
  RCNN_OP(clip_gradients, sgd_bench_cases, prepare_clip_gradients);
  RCNN_OP(sgd, sgd_bench_cases, prepare_sgd);
  RCNN_OP(moving_average, moving_average_bench_cases, prepare_moving_average);
#undef RCNN_OP
}

/// The document with its list "ops", one of them a line.
std::string text_of(const Json& document, const Json& rows) {
  std::string text = "{";
  for (const auto& [key, value] : document.items()) text += Json(key).dump() + ": " + value.dump() + ",\n ";
  text += "\"ops\": [";
  for (size_t i = 0; i < rows.size(); ++i) text += (i == 0 ? "\n  " : ",\n  ") + rows[i].dump();
  return text + "]}\n";
}

}  // namespace

void bench_ops(const OpBenchOptions& options) {
  const cuda::DeviceChoice choice = cuda::choose_device(options.device);
  fmt::print("{}\n", choice.line);
  const bool on_gpu = choice.device.type == DeviceType::cuda;
  Json document, rows = Json::array();
  document["device"] = on_gpu ? cuda::device_info(choice.device.index).name : "cpu";
  document["capability"] = on_gpu ? Json(cuda::device_info(choice.device.index).capability) : Json();
  document["version"] = options.version;
  document["date"] = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  bool known = false;
  int failures = 0;
  for_each_op([&](const auto& op, auto cases, auto prepare) {
    if (std::string_view(op.name).find(options.op) == std::string_view::npos) return;
    known = true;
    failures += bench_op(options, choice.device, op, cases(), prepare, rows);
    // After each op, so that whatever stops the next one leaves the file.
    if (!options.json.empty()) write_atomically(options.json, text_of(document, rows));
  });
  check_input(known, "--op {}: no op has that in its name", options.op);
  check(failures == 0, "{} measurements failed, see above", failures);
}

std::set<std::string> op_families() {
  std::set<std::string> families;
  for_each_op([&](const auto& op, auto, auto) { families.insert(op.family); });
  return families;
}

}  // namespace rcnn
