#include "kernels/boxes/proposals_cases.h"
#include "tests/kernels/hand_worked.h"

namespace rcnn::kernels {

VERIFY_OP(proposals)

TEST_CASE("proposals: anchors are decoded and clipped, and marked if they cannot be used") {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  // Level 0 has 2 anchors, level 1 has 4; one image of height 30 and width 40.
  const std::vector<float> anchors_of_levels = {0, 0, 10, 10, 5,  5,  15, 15,  // level 0
                                                0, 0, 20, 20, 35, 20, 55, 40,  // level 1
                                                0, 0, 8,  8,  0,  0,  8,  8};
  const std::vector<float> deltas1 = {0, 0, -9, 0, 0, 0, 0, 0, 0, kNaN, 0, 0, kInfinity, 0, 0, 0};
  const auto make = [&] {
    Prepared<ProposalsArgs> p;
    p.args = {.n = 1,
              .levels = 2,
              .scores = {{given(p, {0.5f, -1}), 2}, {given(p, {1, 2, 3, 4}), 4}},
              .deltas = {{given(p, {0, 0, 0, 0, 1, 0, 0, 0}), 2}, {given(p, deltas1), 4}},
              .anchors = given(p, anchors_of_levels),
              .image_size = given(p, {30, 40}),
              .k = 4,
              .index = given<int32_t>(p, {1, 0, -1, -1, 1, 0, 2, 3}),
              .weights = {2, 1, 1, 1},
              .min_size = 0.5f,
              .boxes = poisoned<float>(p, 8 * 4),
              .box_scores = poisoned<float>(p, 8),
              .group = poisoned<int32_t>(p, 8)};
    return p;
  };
  each_result(proposals, make, [](const auto& outputs) {
    // The last three: narrower than min_size, a NaN, an infinity.
    CHECK(ints(outputs[2]) == std::vector<int32_t>{0, 0, -1, -1, 1, -1, -1, -1});
    CHECK(floats(outputs[1]) == std::vector<float>{-1, 0.5f, 0, 0, 2, 0, 0, 0});
    std::vector<float> expected(32, 0.0f);
    const float first[] = {10, 5, 20, 15, 0, 0, 10, 10}, clipped[] = {35, 20, 40, 30};
    std::copy(std::begin(first), std::end(first), expected.begin());
    std::copy(std::begin(clipped), std::end(clipped), expected.begin() + 16);
    CHECK(floats(outputs[0]) == expected);
  });
}

TEST_CASE("proposals: each image uses its own scores, deltas and size") {
  const auto make = [] {
    Prepared<ProposalsArgs> p;
    p.args = {.n = 2,
              .levels = 1,
              .scores = {{given(p, {1, 2}), 1}},
              .deltas = {{given(p, {0, 0, 0, 0, 1, 1, 0, 0}), 1}},
              .anchors = given(p, {0, 0, 10, 10}),
              .image_size = given(p, {8, 9, 13, 14}),
              .k = 1,
              .index = given<int32_t>(p, {0, 0}),
              .weights = {1, 1, 1, 1},
              .min_size = 3,  // the second box is 4 x 3: just large enough
              .boxes = poisoned<float>(p, 8),
              .box_scores = poisoned<float>(p, 2),
              .group = poisoned<int32_t>(p, 2)};
    return p;
  };
  each_result(proposals, make, [](const auto& outputs) {
    CHECK(floats(outputs[0]) == std::vector<float>{0, 0, 9, 8, 10, 10, 14, 13});
    CHECK(floats(outputs[1]) == std::vector<float>{1, 2});
    CHECK(ints(outputs[2]) == std::vector<int32_t>{0, 0});
  });
}

TEST_CASE("proposals: boxes that are not finite are not used, even without a minimum size") {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto make = [] {
    Prepared<ProposalsArgs> p;
    p.args = {.n = 1,
              .levels = 1,
              .scores = {{given(p, {1, 2, 3}), 3}},
              .deltas = {{given(p, {kInfinity, 0, 0, 0, 0, 0, 0, 0, 0, kNaN, 0, 0}), 3}},
              .anchors = given(p, {0, 0, 10, 10, 0, 0, 10, 10, 0, 0, 10, 10}),
              .image_size = given(p, {20, 40}),
              .k = 3,
              .index = given<int32_t>(p, {0, 1, 2}),
              .weights = {1, 1, 1, 1},
              .min_size = 0,
              .boxes = poisoned<float>(p, 12),
              .box_scores = poisoned<float>(p, 3),
              .group = poisoned<int32_t>(p, 3)};
    return p;
  };
  each_result(proposals, make, [](const auto& outputs) {
    CHECK(ints(outputs[2]) == std::vector<int32_t>{-1, 0, -1});
    CHECK(floats(outputs[1]) == std::vector<float>{0, 2, 0});
    CHECK(floats(outputs[0]) == std::vector<float>{0, 0, 0, 0, 0, 0, 10, 10, 0, 0, 0, 0});
  });
}

TEST_CASE("proposals: the corners of boxes can be whole pixels, and min_size is scaled with the image") {
  // Two images, of 20 x 40 and 30 x 40, with the scales 1/2 and 1: sides of at least 8 and 16 pixels.
  std::vector<float> deltas(2 * 3 * 4);
  deltas[2 * 4 + 2] = std::log(128.0f);  // of the first image's third anchor, 7 pixels wide
  const auto make = [&] {
    Prepared<ProposalsArgs> p;
    p.args = {.n = 2,
              .levels = 1,
              .scores = {{given(p, {1, 2, 3, 4, 5, 6}), 3}},
              .deltas = {{given(p, deltas), 3}},
              .anchors = given(p, {0, 0, 14, 14, 30, 0, 45, 15, 0, 0, 6, 31}),
              .image_size = given(p, {20, 40, 30, 40}),
              .k = 3,
              .index = given<int32_t>(p, {0, 1, 2, 0, 1, 2}),
              .weights = {1, 1, 1, 1},
              .min_size = 16,
              .boxes = poisoned<float>(p, 6 * 4),
              .box_scores = poisoned<float>(p, 6),
              .group = poisoned<int32_t>(p, 6),
              .plus_one = 1,
              .max_log_scale = std::numeric_limits<float>::infinity(),
              .min_size_scale = given(p, {0.5f, 1})};
    return p;
  };
  each_result(proposals, make, [](const auto& outputs) {
    // 16 x 16 after decoding; 10 x 17 after clipping; 40 x 20. In the second image the third is 8 wide.
    CHECK(ints(outputs[2]) == std::vector<int32_t>{0, 0, 0, 0, -1, -1});
    CHECK(floats(outputs[1]) == std::vector<float>{1, 2, 3, 4, 0, 0});
    std::vector<float> expected(24, 0.0f);
    const float first[] = {0, 0, 15, 15}, clipped[] = {30, 0, 39, 16}, widest[] = {0, 0, 39, 19};
    std::copy_n(first, 4, expected.begin());
    std::copy_n(clipped, 4, expected.begin() + 4);
    std::copy_n(widest, 4, expected.begin() + 8);
    std::copy_n(first, 4, expected.begin() + 12);
    CHECK(floats(outputs[0]) == expected);
  });

  const auto unscaled = [&] {
    auto p = make();
    p.args.min_size_scale = nullptr;
    p.args.max_log_scale = 0;  // 8 pixels after decoding
    return p;
  };
  each_result(proposals, unscaled, [](const auto& outputs) {
    CHECK(ints(outputs[2]) == std::vector<int32_t>{0, -1, -1, 0, -1, -1});
  });
}

TEST_CASE("proposals: a score below min_score is not used") {
  const auto make = [] {
    Prepared<ProposalsArgs> p;
    p.args = {.n = 1,
              .levels = 1,
              .scores = {{given(p, {0.25f, std::nextafter(0.25f, 0.0f), -1}), 3}},
              .deltas = {{given(p, std::vector<float>(12)), 3}},
              .anchors = given(p, {0, 0, 10, 10, 0, 0, 10, 10, 0, 0, 10, 10}),
              .image_size = given(p, {20, 40}),
              .k = 3,
              .index = given<int32_t>(p, {0, 1, 2}),
              .weights = {1, 1, 1, 1},
              .min_size = 0,
              .boxes = poisoned<float>(p, 12),
              .box_scores = poisoned<float>(p, 3),
              .group = poisoned<int32_t>(p, 3),
              .min_score = 0.25f};
    return p;
  };
  each_result(proposals, make, [](const auto& outputs) {
    CHECK(ints(outputs[2]) == std::vector<int32_t>{0, -1, -1});
    CHECK(floats(outputs[1]) == std::vector<float>{0.25f, 0, 0});
    CHECK(floats(outputs[0]) == std::vector<float>{0, 0, 10, 10, 0, 0, 0, 0, 0, 0, 0, 0});
  });
}

}  // namespace rcnn::kernels
