#include "kernels/boxes/class_boxes_cases.h"
#include "tests/kernels/hand_worked.h"

namespace rcnn::kernels {

VERIFY_OP(class_boxes)

TEST_CASE("class_boxes: keeps a box for each class except the background if score and size suffice") {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  // One image of 20 x 40; 3 classes with the background. The third RoI is padding that looks like a RoI.
  const std::vector<float> deltas = {kNaN, kNaN, kNaN, kNaN, 0, 0, 0, 0, 20, 0,    0, 0,   // the first RoI
                                     kNaN, 0,    0,    0,    0, 0, 0, 0, 0,  0,    0, 0,   // the second
                                     0,    0,    0,    0,    0, 0, 0, 0, 0,  kNaN, 0, 0};  // padding
  const auto make = [&] {
    Prepared<ClassBoxesArgs> p;
    p.args = {.n = 1,
              .r = 3,
              .c = 3,
              .probabilities = given(p, {0.9f, 0.25f, 0.5f, 0.9f, 0.75f, kNaN, 0.9f, 0.9f, kNaN}),
              .deltas = given(p, deltas),
              .rois = given(p, {0, 0, 10, 10, 30, 10, 50, 18, 0, 0, 10, 10}),
              .count = given<int32_t>(p, {2}),
              .image_size = given(p, {20, 40}),
              .weights = {10, 10, 5, 5},
              .score_threshold = 0.25f,  // the first class of the first RoI is not above it
              .min_size = 8,
              .boxes = poisoned<float>(p, 6 * 4),
              .scores = poisoned<float>(p, 6),
              .labels = poisoned<int32_t>(p, 6)};
    return p;
  };
  each_result(class_boxes, make, [](const auto& outputs) {
    CHECK(ints(outputs[2]) == std::vector<int32_t>{-1, 2, 1, -1, -1, -1});
    CHECK(floats(outputs[1]) == std::vector<float>{0, 0.5f, 0.75f, 0, 0, 0});
    CHECK(floats(outputs[0]) ==
          std::vector<float>{0, 0, 0, 0, 20, 0, 30, 10, 30, 10, 40, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  });

  // The second RoI's box is 8 high: too small now.
  const auto larger = [&] {
    auto p = make();
    p.args.min_size = std::nextafter(8.0f, 9.0f);
    p.args.score_threshold = 0.1f;
    return p;
  };
  each_result(class_boxes, larger, [](const auto& outputs) {
    CHECK(ints(outputs[2]) == std::vector<int32_t>{1, 2, -1, -1, -1, -1});
    CHECK(floats(outputs[1]) == std::vector<float>{0.25f, 0.5f, 0, 0, 0, 0});
    const std::vector<float> boxes = floats(outputs[0]);
    CHECK(std::all_of(boxes.begin() + 8, boxes.end(), [](float v) { return v == 0; }));
  });
}

TEST_CASE("class_boxes: boxes that are not finite are not used, even without a minimum size") {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<float> deltas = {0,         0,    0, 0,  // the background
                                     kInfinity, 0,    0, 0,  //
                                     0,         0,    0, 0,  //
                                     0,         kNaN, 0, 0};
  const auto make = [&] {
    Prepared<ClassBoxesArgs> p;
    p.args = {.n = 1,
              .r = 1,
              .c = 4,
              .probabilities = given(p, {0, 1, 1, 1}),
              .deltas = given(p, deltas),
              .rois = given(p, {0, 0, 10, 10}),
              .count = given<int32_t>(p, {1}),
              .image_size = given(p, {20, 40}),
              .weights = {1, 1, 1, 1},
              .score_threshold = 0.5f,
              .min_size = 0,
              .boxes = poisoned<float>(p, 3 * 4),
              .scores = poisoned<float>(p, 3),
              .labels = poisoned<int32_t>(p, 3)};
    return p;
  };
  each_result(class_boxes, make, [](const auto& outputs) {
    CHECK(ints(outputs[2]) == std::vector<int32_t>{-1, 2, -1});
    CHECK(floats(outputs[1]) == std::vector<float>{0, 1, 0});
    CHECK(floats(outputs[0]) == std::vector<float>{0, 0, 0, 0, 0, 0, 10, 10, 0, 0, 0, 0});
  });
}

TEST_CASE("class_boxes: the corners of boxes can be whole pixels, and their size unlimited") {
  // An image of 20 x 40. Decoding adds the pixel that `spanned` added to the RoI and does not subtract it
  // again; clipping ends at the last pixel.
  std::vector<float> deltas(3 * 2 * 4);
  deltas[2 * 2 * 4 + 4 + 2] = std::log(100.0f);  // the width of the third RoI's box
  const auto example = [&](float min_size, float max_log_scale) {
    Prepared<ClassBoxesArgs> p;
    p.args = {.n = 1,
              .r = 3,
              .c = 2,
              .probabilities = given(p, {0, 1, 0, 1, 0, 1}),
              .deltas = given(p, deltas),
              .rois = given(p, {0, 0, 9, 9, 30, 10, 39, 17, 20, 4, 20, 4}),
              .count = given<int32_t>(p, {3}),
              .image_size = given(p, {20, 40}),
              .weights = {10, 10, 1, 1},
              .score_threshold = 0.5f,
              .min_size = min_size,
              .boxes = poisoned<float>(p, 3 * 4),
              .scores = poisoned<float>(p, 3),
              .labels = poisoned<int32_t>(p, 3),
              .plus_one = 1,
              .max_log_scale = max_log_scale};
    return p;
  };
  constexpr float kNoLimit = std::numeric_limits<float>::infinity();
  // Unless it is clipped, a box ends one pixel later than its RoI: row 4 of the third RoI becomes rows 4 and
  // 5.
  each_result(
      class_boxes, [&] { return example(2, kNoLimit); },
      [](const auto& outputs) {
        CHECK(ints(outputs[2]) == std::vector<int32_t>{1, 1, 1});
        CHECK(floats(outputs[0]) == std::vector<float>{0, 0, 10, 10, 30, 10, 39, 18, 0, 4, 39, 5});
      });
  // 39 - 30 + 1, but 18 - 10 + 1 is 9
  each_result(
      class_boxes, [&] { return example(10, kNoLimit); },
      [](const auto& outputs) {
        CHECK(ints(outputs[2]) == std::vector<int32_t>{1, -1, -1});
      });
  // 4 pixels wide around 20.5
  each_result(
      class_boxes, [&] { return example(2, std::log(4.0f)); },
      [](const auto& outputs) {
        const std::vector<float> boxes = floats(outputs[0]);
        CHECK(std::fabs(boxes[8] - 18.5f) <= 1e-5f);
        CHECK(std::fabs(boxes[10] - 22.5f) <= 1e-5f);
      });
}

TEST_CASE("class_boxes: all classes of a RoI can share one set of deltas") {
  const auto make = [] {
    Prepared<ClassBoxesArgs> p;
    p.args = {.n = 1,
              .r = 2,
              .c = 3,
              .probabilities = given(p, {0, 1, 0.75f, 0, 0.5f, 0.1f}),
              .deltas = given(p, {1, 0, 0, 0, 0, 0.5f, 0, 0}),
              .rois = given(p, {0, 0, 10, 10, 10, 0, 20, 10}),
              .count = given<int32_t>(p, {2}),
              .image_size = given(p, {20, 40}),
              .weights = {1, 1, 1, 1},
              .score_threshold = 0.25f,
              .min_size = 0,
              .boxes = poisoned<float>(p, 4 * 4),
              .scores = poisoned<float>(p, 4),
              .labels = poisoned<int32_t>(p, 4),
              .class_agnostic = true};
    return p;
  };
  each_result(class_boxes, make, [](const auto& outputs) {
    CHECK(ints(outputs[2]) == std::vector<int32_t>{1, 2, 1, -1});
    CHECK(floats(outputs[1]) == std::vector<float>{1, 0.75f, 0.5f, 0});
    CHECK(floats(outputs[0]) == std::vector<float>{10, 0, 20, 10, 10, 0, 20, 10, 10, 5, 20, 15, 0, 0, 0, 0});
  });
}

}  // namespace rcnn::kernels
