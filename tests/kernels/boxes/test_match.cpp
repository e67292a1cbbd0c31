#include "kernels/boxes/match_cases.h"
#include "tests/kernels/hand_worked.h"

namespace rcnn::kernels {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Example {
  std::vector<float> boxes, gt;
  bool promote_best = false;
  float high = 0.7f, low = 0.3f;
  float plus_one = 0;
  std::vector<float> image_size = {};  // empty: no size is given
};

void expect_matched(const Example& e, const std::vector<int32_t>& expected) {
  const int64_t rows = static_cast<int64_t>(e.boxes.size() / 4);
  const int32_t gt_count = static_cast<int32_t>(e.gt.size() / 4);
  const auto make = [&] {
    Prepared<MatchArgs> p;
    p.args = {.n = 1,
              .r = rows,
              .boxes = given(p, e.boxes),
              .box_stride = rows * 4,
              .row_count = nullptr,
              .g = gt_count,
              .gt = given(p, e.gt),
              .gt_count = given<int32_t>(p, {gt_count}),
              .high = e.high,
              .low = e.low,
              .promote_best = e.promote_best,
              .matched = poisoned<int32_t>(p, rows),
              .plus_one = e.plus_one,
              .image_size = e.image_size.empty() ? nullptr : given(p, e.image_size)};
    return p;
  };
  each_result(match, make, [&](const auto& outputs) { CHECK(ints(outputs[0]) == expected); });
}

}  // namespace

VERIFY_OP(match)

TEST_CASE("match: an IoU equal to a threshold reaches it") {
  // Against (0, 0, 8, 1): IoU 1, 6/8, 4/8, 2/8, 0.
  const std::vector<float> boxes = {0, 0, 8, 1, 0, 0, 6, 1, 0, 0, 4, 1, 0, 0, 2, 1, 9, 0, 10, 1};
  const std::vector<float> gt = {0, 0, 8, 1};
  expect_matched({boxes, gt, false, 0.75f, 0.25f}, {0, 0, -2, -2, -1});
  expect_matched({boxes, gt, false, 0.76f, 0.26f}, {0, -2, -2, -1, -1});
  expect_matched({boxes, gt, false, 0.5f, 0.5f}, {0, 0, 0, -1, -1});
}

TEST_CASE("match: among equal overlaps, the ground truth with the lowest index is matched") {
  expect_matched({{0, 0, 1, 1}, {5, 5, 6, 6, 0, 0, 1, 1, 0, 0, 1, 1}}, {1});
  // Halfway between two ground truths: the IoU with each is 1/3.
  expect_matched({{1, 0, 3, 1}, {2, 0, 4, 1, 0, 0, 2, 1}, false, 0.3f, 0.2f}, {0});
}

TEST_CASE("match: the best rows of a ground truth are promoted, including ties") {
  // IoU 1/4, 1/4 and 1/8 with the only ground truth.
  const std::vector<float> boxes = {0, 0, 2, 1, 6, 0, 8, 1, 0, 0, 1, 1};
  const std::vector<float> gt = {0, 0, 8, 1};
  expect_matched({boxes, gt, false}, {-1, -1, -1});
  expect_matched({boxes, gt, true}, {0, 0, -1});
}

TEST_CASE("match: a promoted row keeps the ground truth with which it has the highest IoU") {
  // The row is the best one of ground truth 0, with an IoU of 2/6, but its IoU with ground truth 1 is 4/6.
  expect_matched({{0, 0, 6, 1}, {0, 0, 2, 1, 2, 0, 6, 1}, true}, {1});
  expect_matched({{0, 0, 6, 1}, {0, 0, 2, 1, 2, 0, 6, 1}, false}, {-2});
}

TEST_CASE("match: a ground truth without any overlap promotes no row") {
  expect_matched({{0, 0, 1, 1, 2, 2, 3, 3}, {8, 8, 9, 9}, true}, {-1, -1});
  expect_matched({{0, 0, 1, 1, 2, 2, 3, 3}, {0, 0, 0, 0}, true}, {-1, -1});
  expect_matched({{0, 0, 1, 1, 2, 2, 3, 3}, {kNaN, 0, 1, 1}, true}, {-1, -1});
}

TEST_CASE("match: without ground truth all rows are negative, and so are invalid rows") {
  expect_matched({{0, 0, 1, 1, 2, 2, 3, 3}, {}, true}, {-1, -1});
  expect_matched({{kNaN, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1}, {0, 0, 1, 1}, true}, {-1, -1, 0});
}

TEST_CASE("match: padding rows and padding ground truth are ignored") {
  // The second row would be the best of the ground truth, the second ground truth the best of the rows.
  const std::vector<float> boxes = {0, 0, 2, 1, 0, 0, 4, 1, kNaN, kNaN, kNaN, kNaN,   // image 0
                                    0, 0, 2, 1, 0, 0, 4, 1, kNaN, kNaN, kNaN, kNaN};  // image 1
  const auto make = [&] {
    Prepared<MatchArgs> p;
    p.args = {.n = 2,
              .r = 3,
              .boxes = given(p, boxes),
              .box_stride = 12,
              .row_count = given<int32_t>(p, {1, 2}),
              .g = 2,
              .gt = given(p, {0, 0, 8, 1, 0, 0, 2, 1, 0, 0, 8, 1, 0, 0, 2, 1}),
              .gt_count = given<int32_t>(p, {1, 0}),
              .high = 0.7f,
              .low = 0.3f,
              .promote_best = true,
              .matched = poisoned<int32_t>(p, 6)};
    return p;
  };
  each_result(match, make, [](const auto& outputs) {
    CHECK(ints(outputs[0]) == std::vector<int32_t>{0, -2, -2, -1, -1, -2});
  });
}

TEST_CASE("match: boxes that the images share, each image with its own ground truth") {
  const auto make = [] {
    Prepared<MatchArgs> p;
    p.args = {.n = 2,
              .r = 2,
              .boxes = given(p, {0, 0, 2, 1, 0, 0, 4, 1}),
              .box_stride = 0,
              .row_count = nullptr,
              .g = 1,
              .gt = given(p, {0, 0, 4, 1, 0, 0, 2, 1}),
              .gt_count = given<int32_t>(p, {1, 1}),
              .high = 0.7f,
              .low = 0.3f,
              .promote_best = true,
              .matched = poisoned<int32_t>(p, 4)};
    return p;
  };
  each_result(match, make, [](const auto& outputs) {
    CHECK(ints(outputs[0]) == std::vector<int32_t>{-2, 0, 0, -2});
  });
}

TEST_CASE("match: the corners of boxes can be whole pixels") {
  // The ground truth is a row of 8 pixels; the boxes cover 8, 6, 4, 2 and none of them. Without + 1, the
  // areas are 0.
  const std::vector<float> boxes = {0, 0, 7, 0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0, 1, 0, 8, 0, 9, 0};
  const std::vector<float> gt = {0, 0, 7, 0};
  expect_matched({boxes, gt, false, 0.75f, 0.25f, 1}, {0, 0, -2, -2, -1});
  expect_matched({boxes, gt, true, 0.75f, 0.25f, 0}, {-1, -1, -1, -1, -1});
  // The best row of the ground truth covers one of its two pixels.
  expect_matched({{1, 0, 1, 0, 5, 5, 6, 6}, {0, 0, 1, 0}, true, 0.7f, 0.6f, 1}, {0, -1});
}

TEST_CASE("match: rows that cross the border of their image are ignored") {
  const std::vector<float> boxes = {-1,   0,     8,     8,     // the first ground truth, across the left edge
                                    0,    0,     8,     8,     // IoU 8/9 with it
                                    12,   0,     20,    8,     // the second ground truth, at the right edge
                                    12,   0,     19.5f, 8,     // IoU 15/16 with it
                                    9,    5,     11,    10,    // at the lower edge
                                    9,    5,     11,    9.5f,  //
                                    9,    -0.5f, 11,    0.5f,  // across the upper edge
                                    kNaN, 0,     1,     1};
  const std::vector<float> gt = {-1, 0, 8, 8, 12, 0, 20, 8}, size = {10, 20};
  expect_matched({boxes, gt, true, 0.95f, 0.3f}, {0, -2, 1, -2, -1, -1, -1, -1});
  expect_matched({boxes, gt, true, 0.95f, 0.3f, 0, size}, {-2, 0, -2, 1, -2, -1, -2, -2});
  expect_matched({boxes, gt, false, 0.95f, 0.3f, 0, size}, {-2, -2, -2, -2, -2, -1, -2, -2});
  expect_matched({boxes, {}, true, 0.95f, 0.3f, 0, size}, {-2, -1, -2, -1, -2, -1, -2, -2});
  // Both rows are best, with an IoU of 48/80 each.
  const std::vector<float> tied = {-2, 0, 6, 8, 2, 0, 10, 8}, between = {0, 0, 8, 8};
  expect_matched({tied, between, true}, {0, 0});
  expect_matched({tied, between, true, 0.7f, 0.3f, 0, size}, {-2, 0});
  // The corners themselves are compared with the border, also if they are whole pixels.
  expect_matched({{0, 0, 19, 9, 0, 0, 20, 9}, {}, true, 0.95f, 0.3f, 1, size}, {-1, -2});
}

TEST_CASE("match: each image has its own border") {
  const auto make = [] {
    Prepared<MatchArgs> p;
    p.args = {.n = 2,
              .r = 2,
              .boxes = given(p, {0, 0, 4, 4, 0, 0, 2, 2}),
              .box_stride = 0,
              .row_count = nullptr,
              .g = 1,
              .gt = given(p, {0, 0, 4, 4, 0, 0, 4, 4}),
              .gt_count = given<int32_t>(p, {1, 1}),
              .high = 0.7f,
              .low = 0.3f,
              .promote_best = true,
              .matched = poisoned<int32_t>(p, 4),
              .image_size = given(p, {5, 5, 5, 3})};
    return p;
  };
  each_result(match, make, [](const auto& outputs) {
    CHECK(ints(outputs[0]) == std::vector<int32_t>{0, -1, -2, 0});
  });
}

}  // namespace rcnn::kernels
