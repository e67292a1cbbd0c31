#include "kernels/boxes/class_boxes_cases.h"
#include "tests/kernels/each_variant.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

VERIFY_OP(class_boxes)

TEST_CASE("class_boxes: every class but the background, where its score and its box are good enough") {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  // One image of 20 x 40; 3 classes with the background. The third RoI is padding that looks like a RoI.
  const float probabilities[] = {0.9f, 0.25f, 0.5f, 0.9f, 0.75f, kNaN, 0.9f, 0.9f, kNaN};
  const float deltas[] = {kNaN, kNaN, kNaN, kNaN, 0, 0, 0, 0, 20, 0,    0, 0,   // the first RoI
                          kNaN, 0,    0,    0,    0, 0, 0, 0, 0,  0,    0, 0,   // the second
                          0,    0,    0,    0,    0, 0, 0, 0, 0,  kNaN, 0, 0};  // padding
  const float rois[] = {0, 0, 10, 10, 30, 10, 50, 18, 0, 0, 10, 10};
  const int32_t count = 2;
  const float size[] = {20, 40};
  float boxes[6 * 4], scores[6];
  int32_t labels[6];
  ClassBoxesArgs args{.n = 1,
                      .r = 3,
                      .c = 3,
                      .probabilities = probabilities,
                      .deltas = deltas,
                      .rois = rois,
                      .count = &count,
                      .image_size = size,
                      .weights = {10, 10, 5, 5},
                      .score_threshold = 0.25f,  // the first class of the first RoI is not above it
                      .min_size = 8,
                      .boxes = boxes,
                      .scores = scores,
                      .labels = labels};
  each_variant(class_boxes, args, [&] {
    CHECK(std::vector<int32_t>(labels, labels + 6) == std::vector<int32_t>{-1, 2, 1, -1, -1, -1});
    CHECK(std::vector<float>(scores, scores + 6) == std::vector<float>{0, 0.5f, 0.75f, 0, 0, 0});
    CHECK(std::vector<float>(boxes, boxes + 24) ==
          std::vector<float>{0, 0, 0, 0, 20, 0, 30, 10, 30, 10, 40, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  });

  // The second RoI's box is 8 high: too small now.
  args.min_size = std::nextafter(8.0f, 9.0f);
  args.score_threshold = 0.1f;
  each_variant(class_boxes, args, [&] {
    CHECK(std::vector<int32_t>(labels, labels + 6) == std::vector<int32_t>{1, 2, -1, -1, -1, -1});
    CHECK(std::vector<float>(scores, scores + 6) == std::vector<float>{0.25f, 0.5f, 0, 0, 0, 0});
    CHECK(std::all_of(boxes + 8, boxes + 24, [](float v) { return v == 0; }));
  });
}

TEST_CASE("class_boxes: boxes that are not finite are not used, however small a box may be") {
  const float probabilities[] = {0, 1, 1, 1}, rois[] = {0, 0, 10, 10}, size[] = {20, 40};
  const float deltas[] = {0,
                          0,
                          0,
                          0,
                          std::numeric_limits<float>::infinity(),
                          0,
                          0,
                          0,  //
                          0,
                          0,
                          0,
                          0,
                          0,
                          std::numeric_limits<float>::quiet_NaN(),
                          0,
                          0};
  const int32_t count = 1;
  float boxes[3 * 4], scores[3];
  int32_t labels[3];
  const ClassBoxesArgs args{.n = 1,
                            .r = 1,
                            .c = 4,
                            .probabilities = probabilities,
                            .deltas = deltas,
                            .rois = rois,
                            .count = &count,
                            .image_size = size,
                            .weights = {1, 1, 1, 1},
                            .score_threshold = 0.5f,
                            .min_size = 0,
                            .boxes = boxes,
                            .scores = scores,
                            .labels = labels};
  each_variant(class_boxes, args, [&] {
    CHECK(std::vector<int32_t>(labels, labels + 3) == std::vector<int32_t>{-1, 2, -1});
    CHECK(std::vector<float>(scores, scores + 3) == std::vector<float>{0, 1, 0});
    CHECK(std::vector<float>(boxes, boxes + 12) == std::vector<float>{0, 0, 0, 0, 0, 0, 10, 10, 0, 0, 0, 0});
  });
}

TEST_CASE("class_boxes: boxes whose corners are whole pixels, and no limit to their size") {
  // An image of 20 x 40. Decoding adds the pixel that encoding counted, clipping ends at the last pixel.
  const float probabilities[] = {0, 1, 0, 1, 0, 1}, size[] = {20, 40};
  const float rois[] = {0, 0, 9, 9, 30, 10, 39, 17, 20, 4, 20, 4};
  const float deltas[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, std::log(100.0f),
                          0};
  const int32_t count = 3;
  float boxes[3 * 4], scores[3];
  int32_t labels[3];
  ClassBoxesArgs args{.n = 1,
                      .r = 3,
                      .c = 2,
                      .probabilities = probabilities,
                      .deltas = deltas,
                      .rois = rois,
                      .count = &count,
                      .image_size = size,
                      .weights = {10, 10, 1, 1},
                      .score_threshold = 0.5f,
                      .min_size = 2,  // in pixels: of the third the last is the first and one more
                      .boxes = boxes,
                      .scores = scores,
                      .labels = labels,
                      .plus_one = 1,
                      .max_log_scale = std::numeric_limits<float>::infinity()};
  each_variant(class_boxes, args, [&] {
    CHECK(std::vector<int32_t>(labels, labels + 3) == std::vector<int32_t>{1, 1, 1});
    CHECK(std::vector<float>(boxes, boxes + 12) ==
          std::vector<float>{0, 0, 10, 10, 30, 10, 39, 18, 0, 4, 39, 5});
  });

  args.min_size = 10;  // 39 - 30 + 1, but 18 - 10 + 1 is 9
  each_variant(class_boxes, args, [&] {
    CHECK(std::vector<int32_t>(labels, labels + 3) == std::vector<int32_t>{1, -1, -1});
  });
  args.min_size = 2;
  args.max_log_scale = std::log(4.0f);  // 4 pixels wide around 20.5
  each_variant(class_boxes, args, [&] {
    CHECK(std::fabs(boxes[8] - 18.5f) <= 1e-5f);
    CHECK(std::fabs(boxes[10] - 22.5f) <= 1e-5f);
  });
}

TEST_CASE("class_boxes: one regression for all classes of a RoI") {
  const float probabilities[] = {0, 1, 0.75f, 0, 0.5f, 0.1f}, size[] = {20, 40};
  const float rois[] = {0, 0, 10, 10, 10, 0, 20, 10}, deltas[] = {1, 0, 0, 0, 0, 0.5f, 0, 0};
  const int32_t count = 2;
  float boxes[4 * 4], scores[4];
  int32_t labels[4];
  const ClassBoxesArgs args{.n = 1,
                            .r = 2,
                            .c = 3,
                            .probabilities = probabilities,
                            .deltas = deltas,
                            .rois = rois,
                            .count = &count,
                            .image_size = size,
                            .weights = {1, 1, 1, 1},
                            .score_threshold = 0.25f,
                            .min_size = 0,
                            .boxes = boxes,
                            .scores = scores,
                            .labels = labels,
                            .class_agnostic = true};
  each_variant(class_boxes, args, [&] {
    CHECK(std::vector<int32_t>(labels, labels + 4) == std::vector<int32_t>{1, 2, 1, -1});
    CHECK(std::vector<float>(scores, scores + 4) == std::vector<float>{1, 0.75f, 0.5f, 0});
    CHECK(std::vector<float>(boxes, boxes + 16) ==
          std::vector<float>{10, 0, 20, 10, 10, 0, 20, 10, 10, 5, 20, 15, 0, 0, 0, 0});
  });
}

}  // namespace rcnn::kernels
