#include "kernels/boxes/match_cases.h"
#include "tests/kernels/each_variant.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Example {
  std::vector<float> boxes, gt;
  bool low_quality = false;
  float high = 0.7f, low = 0.3f;
  float plus_one = 0;
  std::vector<float> image_size = {};  // or empty: none
};

void expect_matched(const Example& e, const std::vector<int32_t>& expected) {
  const int64_t rows = static_cast<int64_t>(e.boxes.size() / 4);
  const int32_t gt_count = static_cast<int32_t>(e.gt.size() / 4);
  std::vector<int32_t> matched(e.boxes.size() / 4, 77);
  const MatchArgs args{.n = 1,
                       .r = rows,
                       .boxes = e.boxes.data(),
                       .box_stride = rows * 4,
                       .row_count = nullptr,
                       .g = gt_count,
                       .gt = e.gt.data(),
                       .gt_count = &gt_count,
                       .high = e.high,
                       .low = e.low,
                       .low_quality = e.low_quality,
                       .matched = matched.data(),
                       .plus_one = e.plus_one,
                       .image_size = e.image_size.empty() ? nullptr : e.image_size.data()};
  each_variant(match, args, [&] { CHECK(matched == expected); });
}

}  // namespace

VERIFY_OP(match)

TEST_CASE("match: thresholds, each at its exact value") {
  // Against (0, 0, 8, 1): IoU 1, 6/8, 4/8, 2/8, 0.
  const std::vector<float> boxes = {0, 0, 8, 1, 0, 0, 6, 1, 0, 0, 4, 1, 0, 0, 2, 1, 9, 0, 10, 1};
  const std::vector<float> gt = {0, 0, 8, 1};
  expect_matched({boxes, gt, false, 0.75f, 0.25f}, {0, 0, -2, -2, -1});
  expect_matched({boxes, gt, false, 0.76f, 0.26f}, {0, -2, -2, -1, -1});
  expect_matched({boxes, gt, false, 0.5f, 0.5f}, {0, 0, 0, -1, -1});
}

TEST_CASE("match: of equal overlaps the lowest ground truth") {
  expect_matched({{0, 0, 1, 1}, {5, 5, 6, 6, 0, 0, 1, 1, 0, 0, 1, 1}}, {1});
  // Halfway between two: IoU 1/3 with each.
  expect_matched({{1, 0, 3, 1}, {2, 0, 4, 1, 0, 0, 2, 1}, false, 0.3f, 0.2f}, {0});
}

TEST_CASE("match: the best rows of a ground truth are promoted, ties included") {
  // IoU 1/4, 1/4 and 1/8 with the only ground truth.
  const std::vector<float> boxes = {0, 0, 2, 1, 6, 0, 8, 1, 0, 0, 1, 1};
  const std::vector<float> gt = {0, 0, 8, 1};
  expect_matched({boxes, gt, false}, {-1, -1, -1});
  expect_matched({boxes, gt, true}, {0, 0, -1});
}

TEST_CASE("match: a promoted row keeps the ground truth that it overlaps most") {
  // The row overlaps ground truth 0 by 2/6, which no row beats, and ground truth 1 by 4/6.
  expect_matched({{0, 0, 6, 1}, {0, 0, 2, 1, 2, 0, 6, 1}, true}, {1});
  expect_matched({{0, 0, 6, 1}, {0, 0, 2, 1, 2, 0, 6, 1}, false}, {-2});
}

TEST_CASE("match: a ground truth that nothing overlaps promotes nothing") {
  expect_matched({{0, 0, 1, 1, 2, 2, 3, 3}, {8, 8, 9, 9}, true}, {-1, -1});
  expect_matched({{0, 0, 1, 1, 2, 2, 3, 3}, {0, 0, 0, 0}, true}, {-1, -1});
  expect_matched({{0, 0, 1, 1, 2, 2, 3, 3}, {kNaN, 0, 1, 1}, true}, {-1, -1});
}

TEST_CASE("match: no ground truth, and faulty rows") {
  expect_matched({{0, 0, 1, 1, 2, 2, 3, 3}, {}, true}, {-1, -1});
  expect_matched({{kNaN, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1}, {0, 0, 1, 1}, true}, {-1, -1, 0});
}

TEST_CASE("match: padding rows and padding ground truth take no part") {
  // The second row would be the best of the ground truth, the second ground truth the best of the rows.
  const float boxes[] = {0, 0, 2, 1, 0, 0, 4, 1, kNaN, kNaN, kNaN, kNaN,   // image 0
                         0, 0, 2, 1, 0, 0, 4, 1, kNaN, kNaN, kNaN, kNaN};  // image 1
  const float gt[] = {0, 0, 8, 1, 0, 0, 2, 1, 0, 0, 8, 1, 0, 0, 2, 1};
  const int32_t row_count[] = {1, 2}, gt_count[] = {1, 0};
  int32_t matched[6];
  MatchArgs args{.n = 2,
                 .r = 3,
                 .boxes = boxes,
                 .box_stride = 12,
                 .row_count = row_count,
                 .g = 2,
                 .gt = gt,
                 .gt_count = gt_count,
                 .high = 0.7f,
                 .low = 0.3f,
                 .low_quality = true,
                 .matched = matched};
  each_variant(match, args, [&] {
    CHECK(std::vector<int32_t>(matched, matched + 6) == std::vector<int32_t>{0, -2, -2, -1, -1, -2});
  });

  // Shared boxes, each image with its own ground truth.
  args.r = 2;
  args.box_stride = 0;
  args.row_count = nullptr;
  args.g = 1;
  const int32_t one_each[] = {1, 1};
  const float own[] = {0, 0, 4, 1, 0, 0, 2, 1};
  args.gt = own;
  args.gt_count = one_each;
  each_variant(match, args, [&] {
    CHECK(std::vector<int32_t>(matched, matched + 4) == std::vector<int32_t>{-2, 0, 0, -2});
  });
}

TEST_CASE("match: boxes whose corners are whole pixels") {
  // Against 8 pixels in a row: 8, 6, 4 and 2 of them, and none. Without the + 1 none has an area.
  const std::vector<float> boxes = {0, 0, 7, 0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0, 1, 0, 8, 0, 9, 0};
  const std::vector<float> gt = {0, 0, 7, 0};
  expect_matched({boxes, gt, false, 0.75f, 0.25f, 1}, {0, 0, -2, -2, -1});
  expect_matched({boxes, gt, true, 0.75f, 0.25f, 0}, {-1, -1, -1, -1, -1});
  // One pixel of two is the best that the ground truth has.
  expect_matched({{1, 0, 1, 0, 5, 5, 6, 6}, {0, 0, 1, 0}, true, 0.7f, 0.6f, 1}, {0, -1});
}

TEST_CASE("match: rows that reach across the border of their image take no part") {
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
  // A tie for the best row: IoU 48/80 each.
  const std::vector<float> tied = {-2, 0, 6, 8, 2, 0, 10, 8}, between = {0, 0, 8, 8};
  expect_matched({tied, between, true}, {0, 0});
  expect_matched({tied, between, true, 0.7f, 0.3f, 0, size}, {-2, 0});
  // The corners themselves are compared, whatever they span.
  expect_matched({{0, 0, 19, 9, 0, 0, 20, 9}, {}, true, 0.95f, 0.3f, 1, size}, {-1, -2});
}

TEST_CASE("match: each image has its own border") {
  const float boxes[] = {0, 0, 4, 4, 0, 0, 2, 2}, gt[] = {0, 0, 4, 4, 0, 0, 4, 4}, size[] = {5, 5, 5, 3};
  const int32_t gt_count[] = {1, 1};
  int32_t matched[4];
  const MatchArgs args{.n = 2,
                       .r = 2,
                       .boxes = boxes,
                       .box_stride = 0,
                       .row_count = nullptr,
                       .g = 1,
                       .gt = gt,
                       .gt_count = gt_count,
                       .high = 0.7f,
                       .low = 0.3f,
                       .low_quality = true,
                       .matched = matched,
                       .image_size = size};
  each_variant(match, args, [&] {
    CHECK(std::vector<int32_t>(matched, matched + 4) == std::vector<int32_t>{0, -1, -2, 0});
  });
}

}  // namespace rcnn::kernels
