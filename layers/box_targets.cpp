#include "layers/box_targets.h"

#include <algorithm>

#include "kernels/boxes/box_targets.h"
#include "kernels/boxes/match.h"
#include "kernels/boxes/sample.h"
#include "kernels/boxes/select_rois.h"
#include "layers/checks.h"

namespace rcnn {
namespace {

/// Boxes (N, R, 4), or (R, 4) that all images share.
struct BoxesOfImages {
  int64_t r, stride;  // rows per image, and floats from one image to the next

  BoxesOfImages(const char* function, const Tensor& boxes, int64_t n) {
    const bool shared = boxes.defined() && boxes.shape().rank() == 2;
    check_tensor(function, "boxes", boxes, DType::f32, shared ? Shape{kAny, 4} : Shape{n, kAny, 4});
    r = boxes.dim(-2);
    stride = shared ? 0 : r * 4;
  }
};

kernels::SampleArgs sample_args(const char* function, Context& ctx, const Tensor& matched,
                                const GroundTruth& truth, const SampleOptions& options, const Tensor& count) {
  const int64_t n = truth.boxes.dim(0);
  check_truth(function, truth, n);
  check_tensor(function, "matched", matched, DType::i32, {n, kAny});
  check(options.max_rows >= 0 && options.positive_fraction >= 0 && options.positive_fraction <= 1,
        "{}: expected max_rows of at least 0 and positive_fraction from 0 to 1, found {} and {}", function,
        options.max_rows, options.positive_fraction);
  return {.n = n,
          .r = matched.dim(1),
          .matched = matched.data<int32_t>(),
          .batch = options.max_rows,
          .positive_fraction = options.positive_fraction,
          .seed = ctx.seed,
          .purpose = options.purpose,
          .step = ctx.step.data<int32_t>(),
          .image_id = truth.image_id.data<int32_t>(),
          .labels = nullptr,
          .rows = nullptr,
          .count = count.mutable_data<int32_t>()};
}

}  // namespace

Tensor match(Context& ctx, const Tensor& boxes, const Tensor& count, const GroundTruth& truth,
             const MatchOptions& options) {
  const int64_t n = truth.boxes.dim(0);
  check_truth("match", truth, n);
  const BoxesOfImages rows("match", boxes, n);
  if (count.defined()) check_tensor("match", "count", count, DType::i32, {n});
  if (options.image_size.defined())
    check_tensor("match", "image_size", options.image_size, DType::f32, {n, 2});
  const Tensor matched = ctx.empty({n, rows.r}, DType::i32);
  kernels::run(ctx, kernels::match,
               kernels::MatchArgs{
                   .n = n,
                   .r = rows.r,
                   .boxes = boxes.data<float>(),
                   .box_stride = rows.stride,
                   .row_count = count.defined() ? count.data<int32_t>() : nullptr,
                   .g = truth.boxes.dim(1),
                   .gt = truth.boxes.data<float>(),
                   .gt_count = truth.count.data<int32_t>(),
                   .high = options.high,
                   .low = options.low,
                   .promote_best = options.promote_best,
                   .matched = matched.mutable_data<int32_t>(),
                   .plus_one = options.whole_pixels ? 1.0f : 0.0f,
                   .image_size = options.image_size.defined() ? options.image_size.data<float>() : nullptr});
  return matched;
}

Tensor sample_labels(Context& ctx, const Tensor& matched, const GroundTruth& truth,
                     const SampleOptions& options) {
  const Tensor count = ctx.empty({truth.boxes.dim(0)}, DType::i32);
  kernels::SampleArgs args = sample_args("sample_labels", ctx, matched, truth, options, count);
  const Tensor labels = ctx.empty(matched.shape(), DType::i32);
  args.labels = labels.mutable_data<int32_t>();
  kernels::run(ctx, kernels::sample, args);
  return labels;
}

SampledRows sample_rows(Context& ctx, const Tensor& matched, const GroundTruth& truth,
                        const SampleOptions& options) {
  const int64_t n = truth.boxes.dim(0);
  SampledRows sampled{ctx.empty({n, options.max_rows}, DType::i32), ctx.empty({n}, DType::i32)};
  kernels::SampleArgs args = sample_args("sample_rows", ctx, matched, truth, options, sampled.count);
  args.rows = sampled.rows.mutable_data<int32_t>();
  kernels::run(ctx, kernels::sample, args);
  return sampled;
}

Tensor box_deltas(Context& ctx, const Tensor& boxes, const Tensor& matched, const GroundTruth& truth,
                  const BoxCoder& coder) {
  const int64_t n = truth.boxes.dim(0);
  check_truth("box_deltas", truth, n);
  const BoxesOfImages rows("box_deltas", boxes, n);
  check_tensor("box_deltas", "matched", matched, DType::i32, {n, rows.r});
  const Tensor deltas = ctx.empty({n, rows.r, 4});
  kernels::BoxTargetsArgs args{};
  args.n = n;
  args.r = rows.r;
  args.boxes = boxes.data<float>();
  args.box_stride = rows.stride;
  args.g = truth.boxes.dim(1);
  args.gt = truth.boxes.data<float>();
  args.matched = matched.data<int32_t>();
  std::copy(coder.weights.begin(), coder.weights.end(), args.weights);
  args.plus_one = coder.whole_pixels ? 1 : 0;
  args.deltas = deltas.mutable_data<float>();
  kernels::run(ctx, kernels::box_targets, args);
  return deltas;
}

RoiSamples select_rois(Context& ctx, const Tensor& boxes, const Tensor& matched, const SampledRows& sampled,
                       const GroundTruth& truth, const BoxCoder& coder) {
  const int64_t n = truth.boxes.dim(0);
  check_truth("select_rois", truth, n);
  check_tensor("select_rois", "boxes", boxes, DType::f32, {n, kAny, 4});
  check_tensor("select_rois", "matched", matched, DType::i32, {n, boxes.dim(1)});
  check_tensor("select_rois", "rows", sampled.rows, DType::i32, {n, kAny});
  check_tensor("select_rois", "count", sampled.count, DType::i32, {n});
  const int64_t s = sampled.rows.dim(1);
  RoiSamples samples{ctx.empty({n, s, 4}), sampled.count, ctx.empty({n, s}, DType::i32),
                     ctx.empty({n, s, 4})};
  kernels::SelectRoisArgs args{};
  args.n = n;
  args.r = boxes.dim(1);
  args.g = truth.boxes.dim(1);
  args.s = s;
  args.candidates = boxes.data<float>();
  args.matched = matched.data<int32_t>();
  args.rows = sampled.rows.data<int32_t>();
  args.gt = truth.boxes.data<float>();
  args.gt_labels = truth.labels.data<int32_t>();
  std::copy(coder.weights.begin(), coder.weights.end(), args.weights);
  args.plus_one = coder.whole_pixels ? 1 : 0;
  args.rois = samples.rois.mutable_data<float>();
  args.labels = samples.labels.mutable_data<int32_t>();
  args.deltas = samples.deltas.mutable_data<float>();
  kernels::run(ctx, kernels::select_rois, args);
  return samples;
}

}  // namespace rcnn
