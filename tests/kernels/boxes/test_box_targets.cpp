#include "kernels/boxes/box_targets_cases.h"
#include "tests/kernels/each_variant.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

VERIFY_OP(box_targets)

TEST_CASE("box_targets: encoded where there is a match, zero elsewhere, whatever the box") {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  const float boxes[] = {0, 0, 4, 2, kNaN, kNaN, kNaN, kNaN, 0, 0, 0, 0};
  const float gt[] = {kNaN, kNaN, kNaN, kNaN, 2, 2, 6, 4,   // image 0
                      1,    0,    5,    2,    0, 0, 0, 0};  // image 1
  const int32_t matched[] = {1, -1, -2, 0, -2, -1};
  float targets[6 * 4];
  const BoxTargetsArgs args{.n = 2,
                            .r = 3,
                            .boxes = boxes,
                            .box_stride = 0,
                            .g = 2,
                            .gt = gt,
                            .matched = matched,
                            .weights = {2, 3, 1, 1},
                            .targets = targets};
  each_variant(box_targets, args, [&] {
    std::vector<float> expected(24, 0.0f);
    expected[0] = 1;  // 2 x 2/4: moved by half the width
    expected[1] = 3;  // 3 x 2/2
    expected[12] = 0.5f;
    CHECK(std::vector<float>(targets, targets + 24) == expected);
  });
}

TEST_CASE("box_targets: boxes of their own for each image") {
  const float boxes[] = {0, 0, 4, 2, 0, 0, 2, 2}, gt[] = {2, 0, 6, 2, 2, 0, 4, 2};
  const int32_t matched[] = {0, 0};
  float targets[8];
  const BoxTargetsArgs args{.n = 2,
                            .r = 1,
                            .boxes = boxes,
                            .box_stride = 4,
                            .g = 1,
                            .gt = gt,
                            .matched = matched,
                            .weights = {1, 1, 1, 1},
                            .targets = targets};
  each_variant(box_targets, args, [&] {
    CHECK(std::vector<float>(targets, targets + 8) == std::vector<float>{0.5f, 0, 0, 0, 1, 0, 0, 0});
  });
}

TEST_CASE("box_targets: boxes whose corners are whole pixels") {
  // 16 x 16 pixels with the centre (8, 8), and 32 x 16 with the centre (16, 16).
  const float boxes[] = {0, 0, 15, 15}, gt[] = {0, 8, 31, 23};
  const int32_t matched[] = {0};
  float targets[4];
  const BoxTargetsArgs args{.n = 1,
                            .r = 1,
                            .boxes = boxes,
                            .box_stride = 0,
                            .g = 1,
                            .gt = gt,
                            .matched = matched,
                            .weights = {1, 2, 1, 1},
                            .targets = targets,
                            .plus_one = 1};
  each_variant(box_targets, args, [&] {
    CHECK(std::vector<float>(targets, targets + 4) ==
          std::vector<float>{0.5f, 1, static_cast<float>(std::log(2.0)), 0});
  });
}

}  // namespace rcnn::kernels
