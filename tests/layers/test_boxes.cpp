// The functions on boxes as tensors: what they compute is tested with the ops (tests/kernels/boxes); here
// each one is run once on numbers worked out by hand, and every argument that does not fit must give a
// sentence.
#include "layers/boxes.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "layers/box_targets.h"

using namespace rcnn;

namespace {

Tensor floats(const Shape& shape, std::initializer_list<float> values) {
  return Tensor::of<float>(shape, values);
}
Tensor integers(const Shape& shape, std::initializer_list<int32_t> values) {
  return Tensor::of<int32_t>(shape, values);
}
std::vector<float> values_of(const Tensor& tensor) {
  const auto values = tensor.values<float>();
  return {values.begin(), values.end()};
}
std::vector<int32_t> integers_of(const Tensor& tensor) {
  const auto values = tensor.values<int32_t>();
  return {values.begin(), values.end()};
}

/// One image of 100 x 100 with four anchors on two levels.
struct Predicted {
  Tensor anchors = floats({4, 4}, {10, 10, 30, 30, 40, 40, 60, 60, 70, 70, 90, 90, 0, 0, 100, 100});
  RpnPredictions maps{
      {floats({1, 1, 3, 1}, {-1, 2, 1}), floats({1, 1, 1, 1}, {0.5f})},
      {floats({1, 1, 3, 4}, {0, 0, 0, 0, .5f, 0, 0, 0, 0, 0, 0, 0}), floats({1, 1, 1, 4}, {0, 0, 0, 0})}};
  Tensor size = floats({1, 2}, {100, 100});
};

GroundTruth one_object() {
  return {.boxes = floats({1, 2, 4}, {10, 10, 30, 30, 0, 0, 0, 0}),
          .labels = integers({1, 2}, {3, 0}),
          .count = integers({1}, {1}),
          .image_id = integers({1}, {7})};
}

}  // namespace

TEST_CASE("cell_anchors: the values are those of torchvision") {
  const float size[] = {32}, ratios[] = {0.5f, 1, 2};
  CHECK(cell_anchors(size, ratios) ==
        std::vector<float>{-23, -11, 23, 11, -16, -16, 16, 16, -11, -23, 11, 23});
  const float sizes[] = {16, 64}, two[] = {1, 2};
  CHECK(cell_anchors(sizes, two) ==
        std::vector<float>{-8, -8, 8, 8, -32, -32, 32, 32, -6, -11, 6, 11, -23, -45, 23, 45});
  CHECK(cell_anchors({}, ratios).empty());
}

TEST_CASE("cell_anchors: halves round to even") {
  const float sizes[] = {3, 5, 7}, square[] = {1};  // half sides 1.5, 2.5, 3.5
  CHECK(cell_anchors(sizes, square) == std::vector<float>{-2, -2, 2, 2, -2, -2, 2, 2, -4, -4, 4, 4});
}

TEST_CASE("caffe2015_cell_anchors: gives the nine anchors of py-faster-rcnn") {
  // As the paper's Matlab code prints them, which counts pixels from 1; py-faster-rcnn counts from 0.
  std::vector<float> expected = {-83, -39, 100, 56, -175, -87,  192, 104, -359, -183, 376, 200,
                                 -55, -55, 72,  72, -119, -119, 136, 136, -247, -247, 264, 264,
                                 -35, -79, 52,  96, -79,  -167, 96,  184, -167, -343, 184, 360};
  for (float& corner : expected) corner -= 1;
  const float sizes[] = {128, 256, 512}, ratios[] = {0.5f, 1, 2};
  CHECK(caffe2015_cell_anchors(sizes, ratios) == expected);
  CHECK(caffe2015_cell_anchors({}, ratios).empty());
  CHECK(caffe2015_cell_anchors(sizes, {}).empty());
}

TEST_CASE("caffe2015_cell_anchors: halves round to even, and sizes need not be multiples of 16") {
  // The width is 20.2 rounded, the height 20 x 0.625 = 12.5 rounded: 20 x 12 around (7.5, 7.5).
  const float size[] = {16, 8}, ratio[] = {0.625f};
  CHECK(caffe2015_cell_anchors(size, ratio) == std::vector<float>{-2, 2, 17, 13, 3, 5, 12, 10});
}

TEST_CASE("make_anchors repeats the anchors of a cell over the grid of each level") {
  Context ctx;
  const Tensor anchors =
      make_anchors(ctx, {{.h = 1, .w = 2, .stride_y = 8, .stride_x = 16, .cell_anchors = {-4, -4, 4, 4}},
                         {.h = 1, .w = 1, .stride_y = 32, .stride_x = 32, .cell_anchors = {-8, -4, 8, 4}}});
  CHECK(anchors.shape() == Shape{3, 4});
  CHECK(values_of(anchors) == std::vector<float>{-4, -4, 4, 4, 12, -4, 20, 4, -8, -4, 8, 4});
  CHECK_THROWS_WITH_AS(make_anchors(ctx, {}), "make_anchors: expected 1 to 6 levels, found 0", Error);
  CHECK_THROWS_WITH_AS(
      make_anchors(ctx, {{.h = 1, .w = 1, .stride_y = 8, .stride_x = 8, .cell_anchors = {1, 2, 3}}}),
      "make_anchors: level 0 has 1 x 1 cells and 3 numbers for the anchors of a cell; expected 4 per anchor",
      Error);
}

TEST_CASE("top_k, decode_proposals, nms and gather make a list of proposals") {
  Context ctx;
  const Predicted p;
  const Tensor rows = top_k(ctx, 1, p.maps.scores, 2);
  CHECK(rows.shape() == Shape{1, 2, 2});
  CHECK(integers_of(rows) == std::vector<int32_t>{1, 2, 0, -1});  // the second level has one row

  const Candidates candidates = decode_proposals(ctx, p.anchors, p.maps, rows, p.size, {.min_size = 1});
  CHECK(values_of(candidates.boxes) == std::vector<float>{50, 40, 70, 60, 70, 70, 90, 90, 0, 0, 100, 100, 0,
                                                          0, 0, 0});  // dx = .5 of 20 pixels
  CHECK(values_of(candidates.scores) == std::vector<float>{2, 1, .5f, 0});
  CHECK(integers_of(candidates.group) == std::vector<int32_t>{0, 0, 1, -1});

  const KeptRows kept = nms(ctx, candidates, {.threshold = .7f, .max_boxes = 2});
  CHECK(integers_of(kept.rows) == std::vector<int32_t>{0, 1});
  CHECK(kept.count.item<int32_t>() == 2);
  const BoxList list = gather(ctx, candidates, kept);
  CHECK(values_of(list.boxes) == std::vector<float>{50, 40, 70, 60, 70, 70, 90, 90});
  CHECK(values_of(list.scores) == std::vector<float>{2, 1});
  CHECK(integers_of(list.group) == std::vector<int32_t>{0, 0});

  const BoxList with_truth = gather_with_truth(ctx, candidates, kept, one_object());
  CHECK(values_of(with_truth.boxes) ==
        std::vector<float>{50, 40, 70, 60, 70, 70, 90, 90, 10, 10, 30, 30, 0, 0, 0, 0});
  CHECK(with_truth.count.item<int32_t>() == 3);
}

TEST_CASE("decode_proposals: a minimum probability is compared with the logits") {
  Context ctx;
  const Predicted p;
  const Tensor rows = top_k(ctx, 1, p.maps.scores, 3);
  // The sigmoid of 1 is .731, of 2 it is .881.
  const Candidates candidates = decode_proposals(ctx, p.anchors, p.maps, rows, p.size, {.min_score = .75f});
  CHECK(integers_of(candidates.group) == std::vector<int32_t>{0, -1, -1, -1, -1, -1});
}

TEST_CASE("class_boxes moves every RoI by the deltas of each class") {
  Context ctx;
  const Tensor rois = floats({1, 1, 4}, {10, 10, 30, 30}), count = integers({1}, {1}),
               size = floats({1, 2}, {100, 100});
  const Tensor probabilities = floats({1, 3}, {.1f, .6f, .3f});
  const ClassBoxesOptions options{.coder = {.weights = {10, 10, 5, 5}}, .min_score = .2f, .min_size = 1};
  const Tensor own = floats({1, 12}, {9, 9, 9, 9, 5, 0, 0, 0, 0, 5, 0, 0});  // 5 / 10 of 20 pixels
  const Candidates candidates = class_boxes(ctx, probabilities, own, rois, count, size, options);
  CHECK(values_of(candidates.boxes) == std::vector<float>{20, 10, 40, 30, 10, 20, 30, 40});
  CHECK(integers_of(candidates.group) == std::vector<int32_t>{1, 2});
  const Tensor shared = floats({1, 4}, {5, 0, 0, 0});
  CHECK(values_of(class_boxes(ctx, probabilities, shared, rois, count, size, options).boxes) ==
        std::vector<float>{20, 10, 40, 30, 20, 10, 40, 30});
  CHECK_THROWS_WITH_AS(
      class_boxes(ctx, probabilities, floats({1, 8}, {0, 0, 0, 0, 0, 0, 0, 0}), rois, count, size, options),
      "class_boxes: expected deltas (1, 12), or (1, 4) for all classes, found f32 (1, 8)", Error);
}

TEST_CASE("boxes: errors name the tensors that do not fit") {
  Context ctx;
  const Predicted p;
  const Tensor rows = top_k(ctx, 1, p.maps.scores, 2);
  CHECK_THROWS_WITH_AS(top_k(ctx, 2, p.maps.scores, 2),
                       "top_k: expected scores as f32 (2, rows, 1) of each level, found f32 (1, 1, 3, 1)",
                       Error);
  RpnPredictions one_level = p.maps;
  one_level.deltas.pop_back();
  CHECK_THROWS_WITH_AS(decode_proposals(ctx, p.anchors, one_level, rows, p.size, {}),
                       "decode_proposals: scores of 2 levels, but deltas of 1", Error);
  CHECK_THROWS_WITH_AS(decode_proposals(ctx, p.anchors.slice(0, 3), p.maps, rows, p.size, {}),
                       "decode_proposals: 4 scores per image, but 3 anchors", Error);
  CHECK_THROWS_WITH_AS(decode_proposals(ctx, p.anchors, p.maps, rows, floats({2}, {100, 100}), {}),
                       "decode_proposals: image_size is f32 (2), expected f32 (any, 2)", Error);
  const Candidates wrong{floats({1, 1, 4}, {0, 0, 1, 1}), floats({1, 2}, {1, 1}), integers({1, 1}, {0})};
  CHECK_THROWS_WITH_AS(nms(ctx, wrong, {.max_boxes = 1}), "nms: scores is f32 (1, 2), expected f32 (1, 1)",
                       Error);
}
