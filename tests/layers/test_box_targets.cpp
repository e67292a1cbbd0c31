#include "layers/box_targets.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace rcnn;

namespace {

const float kNaN = std::nanf("");

/// Two images with room for two objects: one on the first, none on the second. The padding holds NaN.
GroundTruth objects() {
  return {.boxes = Tensor::of<float>({2, 2, 4}, {10, 10, 30, 30, kNaN, kNaN, kNaN, kNaN,  //
                                                 kNaN, kNaN, kNaN, kNaN, kNaN, kNaN, kNaN, kNaN}),
          .labels = Tensor::of<int32_t>({2, 2}, {3, 99, 99, 99}),
          .count = Tensor::of<int32_t>({2}, {1, 0}),
          .image_id = Tensor::of<int32_t>({2}, {4, 5})};
}

/// IoU with the object: 1/3, .0, and 1 of 400 shared pixels.
Tensor anchors() { return Tensor::of<float>({3, 4}, {20, 10, 40, 30, 60, 60, 80, 80, 10, 10, 30, 30}); }

std::vector<int32_t> integers_of(const Tensor& tensor) {
  const auto values = tensor.values<int32_t>();
  return {values.begin(), values.end()};
}
std::vector<float> values_of(const Tensor& tensor) {
  const auto values = tensor.values<float>();
  return {values.begin(), values.end()};
}

}  // namespace

TEST_CASE("match: anchors that all images share, each image with its own objects") {
  Context ctx;
  const Tensor matched = match(ctx, anchors(), {}, objects(), {.high = .7f, .low = .3f});
  CHECK(matched.shape() == Shape{2, 3});
  CHECK(integers_of(matched) == std::vector<int32_t>{-2, -1, 0, -1, -1, -1});
}

TEST_CASE("match: the best anchor of an object is positive only with promote_best") {
  Context ctx;
  const Tensor poor = Tensor::of<float>({2, 4}, {20, 10, 40, 30, 60, 60, 80, 80});
  CHECK(integers_of(match(ctx, poor, {}, objects(), {.high = .7f, .low = .3f}))[0] == -2);
  CHECK(integers_of(match(ctx, poor, {}, objects(), {.high = .7f, .low = .3f, .promote_best = true}))[0] ==
        0);
}

TEST_CASE("match: rows beyond an image's count are padding") {
  Context ctx;
  const Tensor boxes = Tensor::of<float>({2, 2, 4}, {10, 10, 30, 30, kNaN, kNaN, kNaN, kNaN,  //
                                                     0, 0, 5, 5, kNaN, kNaN, kNaN, kNaN});
  CHECK(integers_of(match(ctx, boxes, Tensor::of<int32_t>({2}, {1, 1}), objects(), {})) ==
        std::vector<int32_t>{0, -2, -1, -2});
}

TEST_CASE("sample_labels and sample_rows make the same draw") {
  Context ctx;
  ctx.step = Tensor::of<int32_t>({1}, {11});
  const Tensor matched = Tensor::of<int32_t>({2, 6}, {0, -1, -2, 0, -1, -1, -1, -1, 1, -1, -2, -1});
  const SampleOptions options{.max_rows = 4, .positive_fraction = .25f, .purpose = Purpose::roi_sample};
  const std::vector<int32_t> labels = integers_of(sample_labels(ctx, matched, objects(), options));
  const SampledRows sampled = sample_rows(ctx, matched, objects(), options);
  const std::vector<int32_t> rows = integers_of(sampled.rows);
  CHECK(integers_of(sampled.count) == std::vector<int32_t>{4, 4});
  std::vector<int32_t> from_rows(12, -1);
  for (size_t i = 0; i < rows.size(); ++i) {
    const size_t row = i / 4 * 6 + static_cast<size_t>(rows[i]);
    from_rows[row] = matched.values<int32_t>()[row] >= 0 ? 1 : 0;
  }
  CHECK(labels == from_rows);
  CHECK(std::count(labels.begin(), labels.end(), 1) == 2);  // a quarter of 4 in each image
}

TEST_CASE("box_deltas and select_rois code the same boxes alike") {
  Context ctx;
  const GroundTruth truth = objects();
  const Tensor boxes = Tensor::of<float>({2, 2, 4}, {20, 10, 40, 30, 0, 0, 8, 8, 0, 0, 8, 8, 0, 0, 8, 8});
  const Tensor matched = Tensor::of<int32_t>({2, 2}, {0, -1, -1, -2});
  const BoxCoder coder{.weights = {10, 10, 5, 5}};
  // The object is 10 pixels to the left of a box 20 pixels wide.
  CHECK(values_of(box_deltas(ctx, boxes, matched, truth, coder)) ==
        std::vector<float>{-5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  const SampledRows sampled{Tensor::of<int32_t>({2, 2}, {0, 1, 0, -1}), Tensor::of<int32_t>({2}, {2, 1})};
  const RoiSamples samples = select_rois(ctx, boxes, matched, sampled, truth, coder);
  CHECK(integers_of(samples.labels) == std::vector<int32_t>{3, 0, 0, -1});
  CHECK(values_of(samples.deltas) == std::vector<float>{-5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  CHECK(values_of(samples.rois) == std::vector<float>{20, 10, 40, 30, 0, 0, 8, 8, 0, 0, 8, 8, 0, 0, 0, 0});
}

TEST_CASE("box_targets: errors name the tensors that do not fit") {
  Context ctx;
  GroundTruth truth = objects();
  CHECK_THROWS_WITH_AS(match(ctx, Tensor::zeros({1, 3, 4}, DType::f32), {}, truth, {}),
                       "match: boxes is f32 (1, 3, 4), expected f32 (2, any, 4)", Error);
  CHECK_THROWS_WITH_AS(match(ctx, {}, {}, truth, {}), "match: boxes is undefined, expected f32 (2, any, 4)",
                       Error);
  CHECK_THROWS_WITH_AS(box_deltas(ctx, anchors(), Tensor::zeros({2, 4}, DType::i32), truth, {}),
                       "box_deltas: matched is i32 (2, 4), expected i32 (2, 3)", Error);
  CHECK_THROWS_WITH_AS(
      sample_labels(ctx, Tensor::zeros({2, 3}, DType::i32), truth, {.max_rows = -1}),
      "sample_labels: expected max_rows of at least 0 and positive_fraction from 0 to 1, found -1 and 0.5",
      Error);
  truth.labels = Tensor::zeros({2, 1}, DType::i32);
  CHECK_THROWS_WITH_AS(match(ctx, anchors(), {}, truth, {}),
                       "match: truth.labels is i32 (2, 1), expected i32 (2, 2)", Error);
}
