#include "kernels/boxes/box_targets_cases.h"
#include "tests/kernels/hand_worked.h"

namespace rcnn::kernels {

VERIFY_OP(box_targets)

TEST_CASE("box_targets: deltas for matched boxes, zeros for all others, whatever they contain") {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> gt = {kNaN, kNaN, kNaN, kNaN, 2, 2, 6, 4,   // image 0
                                 1,    0,    5,    2,    0, 0, 0, 0};  // image 1
  const auto make = [&] {
    Prepared<BoxTargetsArgs> p;
    p.args = {.n = 2,
              .r = 3,
              .boxes = given(p, {0, 0, 4, 2, kNaN, kNaN, kNaN, kNaN, 0, 0, 0, 0}),
              .box_stride = 0,
              .g = 2,
              .gt = given(p, gt),
              .matched = given<int32_t>(p, {1, -1, -2, 0, -2, -1}),
              .weights = {2, 3, 1, 1},
              .deltas = poisoned<float>(p, 6 * 4)};
    return p;
  };
  hand_worked(box_targets, make, [](const auto& outputs) {
    std::vector<float> expected(24, 0.0f);
    expected[0] = 1;  // 2 x 2/4: moved by half the width
    expected[1] = 3;  // 3 x 2/2
    expected[12] = 0.5f;
    CHECK(outputs[0] == expected);
  });
}

TEST_CASE("box_targets: each image can have its own boxes") {
  const auto make = [] {
    Prepared<BoxTargetsArgs> p;
    p.args = {.n = 2,
              .r = 1,
              .boxes = given(p, {0, 0, 4, 2, 0, 0, 2, 2}),
              .box_stride = 4,
              .g = 1,
              .gt = given(p, {2, 0, 6, 2, 2, 0, 4, 2}),
              .matched = given<int32_t>(p, {0, 0}),
              .weights = {1, 1, 1, 1},
              .deltas = poisoned<float>(p, 8)};
    return p;
  };
  hand_worked(box_targets, make, [](const auto& outputs) {
    CHECK(outputs[0] == std::vector<float>{0.5f, 0, 0, 0, 1, 0, 0, 0});
  });
}

TEST_CASE("box_targets: the corners of boxes can be whole pixels") {
  // 16 x 16 pixels with the centre (8, 8), and 32 x 16 with the centre (16, 16).
  const auto make = [] {
    Prepared<BoxTargetsArgs> p;
    p.args = {.n = 1,
              .r = 1,
              .boxes = given(p, {0, 0, 15, 15}),
              .box_stride = 0,
              .g = 1,
              .gt = given(p, {0, 8, 31, 23}),
              .matched = given<int32_t>(p, {0}),
              .weights = {1, 2, 1, 1},
              .deltas = poisoned<float>(p, 4),
              .plus_one = 1};
    return p;
  };
  hand_worked(box_targets, make, [](const auto& outputs) {
    CHECK(outputs[0] == std::vector<float>{0.5f, 1, static_cast<float>(std::log(2.0)), 0});
  });
}

}  // namespace rcnn::kernels
