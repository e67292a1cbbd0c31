#include "kernels/boxes/proposals_cases.h"
#include "tests/kernels/each_variant.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

VERIFY_OP(proposals)

TEST_CASE("proposals: decoded, clipped, and marked where they cannot be used") {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  // Level 0 has 2 anchors, level 1 has 4; one image of height 30 and width 40.
  const float anchors_of_levels[] = {0, 0, 10, 10, 5,  5,  15, 15,  // level 0
                                     0, 0, 20, 20, 35, 20, 55, 40,  // level 1
                                     0, 0, 8,  8,  0,  0,  8,  8};
  const float scores0[] = {0.5f, -1}, scores1[] = {1, 2, 3, 4};
  const float deltas0[] = {0, 0, 0, 0, 1, 0, 0, 0};
  const float deltas1[] = {0, 0, -9, 0, 0, 0, 0, 0, 0, kNaN, 0, 0, kInfinity, 0, 0, 0};
  const float size[] = {30, 40};
  const int32_t index[] = {1, 0, -1, -1, 1, 0, 2, 3};
  float boxes[8 * 4], box_scores[8];
  int32_t group[8];
  const ProposalsArgs args{.n = 1,
                           .levels = 2,
                           .scores = {{scores0, 2}, {scores1, 4}},
                           .deltas = {{deltas0, 2}, {deltas1, 4}},
                           .anchors = anchors_of_levels,
                           .image_size = size,
                           .k = 4,
                           .index = index,
                           .weights = {2, 1, 1, 1},
                           .min_size = 0.5f,
                           .boxes = boxes,
                           .box_scores = box_scores,
                           .group = group};
  each_variant(proposals, args, [&] {
    // The last three: narrower than min_size, a NaN, an infinity.
    CHECK(std::vector<int32_t>(group, group + 8) == std::vector<int32_t>{0, 0, -1, -1, 1, -1, -1, -1});
    CHECK(std::vector<float>(box_scores, box_scores + 8) == std::vector<float>{-1, 0.5f, 0, 0, 2, 0, 0, 0});
    std::vector<float> expected(32, 0.0f);
    const float first[] = {10, 5, 20, 15, 0, 0, 10, 10}, clipped[] = {35, 20, 40, 30};
    std::copy(std::begin(first), std::end(first), expected.begin());
    std::copy(std::begin(clipped), std::end(clipped), expected.begin() + 16);
    CHECK(std::vector<float>(boxes, boxes + 32) == expected);
  });
}

TEST_CASE("proposals: each image uses its own scores, deltas and size") {
  const float anchor[] = {0, 0, 10, 10}, scores[] = {1, 2}, deltas[] = {0, 0, 0, 0, 1, 1, 0, 0};
  const float size[] = {8, 9, 13, 14};
  const int32_t index[] = {0, 0};
  float boxes[8], box_scores[2];
  int32_t group[2];
  const ProposalsArgs args{.n = 2,
                           .levels = 1,
                           .scores = {{scores, 1}},
                           .deltas = {{deltas, 1}},
                           .anchors = anchor,
                           .image_size = size,
                           .k = 1,
                           .index = index,
                           .weights = {1, 1, 1, 1},
                           .min_size = 3,  // the second box is 4 x 3: just large enough
                           .boxes = boxes,
                           .box_scores = box_scores,
                           .group = group};
  each_variant(proposals, args, [&] {
    CHECK(std::vector<float>(boxes, boxes + 8) == std::vector<float>{0, 0, 9, 8, 10, 10, 14, 13});
    CHECK(std::vector<float>(box_scores, box_scores + 2) == std::vector<float>{1, 2});
    CHECK(std::vector<int32_t>(group, group + 2) == std::vector<int32_t>{0, 0});
  });
}

TEST_CASE("proposals: boxes that are not finite are not used, however small a box may be") {
  const float anchors_of_level[] = {0, 0, 10, 10, 0, 0, 10, 10, 0, 0, 10, 10}, scores[] = {1, 2, 3};
  const float deltas[] = {std::numeric_limits<float>::infinity(),
                          0,
                          0,
                          0,
                          0,
                          0,
                          0,
                          0,  //
                          0,
                          std::numeric_limits<float>::quiet_NaN(),
                          0,
                          0};
  const float size[] = {20, 40};
  const int32_t index[] = {0, 1, 2};
  float boxes[12], box_scores[3];
  int32_t group[3];
  const ProposalsArgs args{.n = 1,
                           .levels = 1,
                           .scores = {{scores, 3}},
                           .deltas = {{deltas, 3}},
                           .anchors = anchors_of_level,
                           .image_size = size,
                           .k = 3,
                           .index = index,
                           .weights = {1, 1, 1, 1},
                           .min_size = 0,
                           .boxes = boxes,
                           .box_scores = box_scores,
                           .group = group};
  each_variant(proposals, args, [&] {
    CHECK(std::vector<int32_t>(group, group + 3) == std::vector<int32_t>{-1, 0, -1});
    CHECK(std::vector<float>(box_scores, box_scores + 3) == std::vector<float>{0, 2, 0});
    CHECK(std::vector<float>(boxes, boxes + 12) == std::vector<float>{0, 0, 0, 0, 0, 0, 10, 10, 0, 0, 0, 0});
  });
}

TEST_CASE("proposals: boxes whose corners are whole pixels, smallest size by the image's scale") {
  // Two images, of 20 x 40 and 30 x 40, with the scales 1/2 and 1: sides of at least 8 and 16 pixels.
  const float anchors_of_level[] = {0, 0, 14, 14, 30, 0, 45, 15, 0, 0, 6, 31}, scores[] = {1, 2, 3, 4, 5, 6};
  float deltas[2 * 3 * 4] = {};
  deltas[2 * 4 + 2] = std::log(128.0f);  // of the first image's third anchor, 7 pixels wide
  const float size[] = {20, 40, 30, 40}, scale[] = {0.5f, 1};
  const int32_t index[] = {0, 1, 2, 0, 1, 2};
  float boxes[6 * 4], box_scores[6];
  int32_t group[6];
  ProposalsArgs args{.n = 2,
                     .levels = 1,
                     .scores = {{scores, 3}},
                     .deltas = {{deltas, 3}},
                     .anchors = anchors_of_level,
                     .image_size = size,
                     .k = 3,
                     .index = index,
                     .weights = {1, 1, 1, 1},
                     .min_size = 16,
                     .boxes = boxes,
                     .box_scores = box_scores,
                     .group = group,
                     .plus_one = 1,
                     .max_log_scale = std::numeric_limits<float>::infinity(),
                     .min_size_scale = scale};
  each_variant(proposals, args, [&] {
    // 16 x 16 after decoding; 10 x 17 after clipping; 40 x 20. In the second image the third is 8 wide.
    CHECK(std::vector<int32_t>(group, group + 6) == std::vector<int32_t>{0, 0, 0, 0, -1, -1});
    CHECK(std::vector<float>(box_scores, box_scores + 6) == std::vector<float>{1, 2, 3, 4, 0, 0});
    std::vector<float> expected(24, 0.0f);
    const float first[] = {0, 0, 15, 15}, clipped[] = {30, 0, 39, 16}, widest[] = {0, 0, 39, 19};
    std::copy_n(first, 4, expected.begin());
    std::copy_n(clipped, 4, expected.begin() + 4);
    std::copy_n(widest, 4, expected.begin() + 8);
    std::copy_n(first, 4, expected.begin() + 12);
    CHECK(std::vector<float>(boxes, boxes + 24) == expected);
  });

  args.min_size_scale = nullptr;
  args.max_log_scale = 0;  // 8 pixels after decoding
  each_variant(proposals, args, [&] {
    CHECK(std::vector<int32_t>(group, group + 6) == std::vector<int32_t>{0, -1, -1, 0, -1, -1});
  });
}

TEST_CASE("proposals: a score below min_score is not used") {
  const float anchors_of_level[] = {0, 0, 10, 10, 0, 0, 10, 10, 0, 0, 10, 10};
  const float scores[] = {0.25f, std::nextafter(0.25f, 0.0f), -1}, deltas[12] = {}, size[] = {20, 40};
  const int32_t index[] = {0, 1, 2};
  float boxes[12], box_scores[3];
  int32_t group[3];
  const ProposalsArgs args{.n = 1,
                           .levels = 1,
                           .scores = {{scores, 3}},
                           .deltas = {{deltas, 3}},
                           .anchors = anchors_of_level,
                           .image_size = size,
                           .k = 3,
                           .index = index,
                           .weights = {1, 1, 1, 1},
                           .min_size = 0,
                           .boxes = boxes,
                           .box_scores = box_scores,
                           .group = group,
                           .min_score = 0.25f};
  each_variant(proposals, args, [&] {
    CHECK(std::vector<int32_t>(group, group + 3) == std::vector<int32_t>{0, -1, -1});
    CHECK(std::vector<float>(box_scores, box_scores + 3) == std::vector<float>{0.25f, 0, 0});
    CHECK(std::vector<float>(boxes, boxes + 12) == std::vector<float>{0, 0, 10, 10, 0, 0, 0, 0, 0, 0, 0, 0});
  });
}

}  // namespace rcnn::kernels
