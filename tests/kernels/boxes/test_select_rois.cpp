#include "kernels/boxes/select_rois_cases.h"
#include "tests/kernels/hand_worked.h"

namespace rcnn::kernels {

VERIFY_OP(select_rois)

TEST_CASE("select_rois: foreground, background and padding rows get their boxes, labels and targets") {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> candidates = {
      0,    0,    4,    2,    5, 5, 6, 6, kNaN, kNaN, kNaN, kNaN,                  // image 0
      kNaN, kNaN, kNaN, kNaN, 0, 0, 2, 2, kNaN, kNaN, kNaN, kNaN};                 // image 1
  const std::vector<float> gt = {kNaN, kNaN, kNaN, kNaN, 2,    0,    6,    2,      // image 0
                                 1,    0,    3,    2,    kNaN, kNaN, kNaN, kNaN};  // image 1
  const auto make = [&] {
    Prepared<SelectRoisArgs> p;
    p.args = {.n = 2,
              .r = 3,
              .g = 2,
              .s = 3,
              .candidates = given(p, candidates),
              .matched = given<int32_t>(p, {1, -1, -2, -2, 0, -2}),
              .rows = given<int32_t>(p, {0, 1, -1, 1, -1, -1}),
              .gt = given(p, gt),
              .gt_labels = given<int32_t>(p, {9, 3, 5, 9}),
              .weights = {10, 10, 5, 5},
              .rois = poisoned<float>(p, 6 * 4),
              .labels = poisoned<int32_t>(p, 6),
              .deltas = poisoned<float>(p, 6 * 4)};
    return p;
  };
  each_result(select_rois, make, [](const auto& outputs) {
    CHECK(ints(outputs[1]) == std::vector<int32_t>{3, 0, -1, 5, -1, -1});
    CHECK(floats(outputs[0]) == std::vector<float>{0, 0, 4, 2, 5, 5, 6, 6, 0, 0, 0, 0,  //
                                                   0, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0});
    CHECK(floats(outputs[2]) == std::vector<float>{5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  //
                                                   5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  });
}

TEST_CASE("select_rois: the corners of boxes can be whole pixels") {
  const auto make = [] {
    Prepared<SelectRoisArgs> p;
    p.args = {.n = 1,
              .r = 1,
              .g = 1,
              .s = 1,
              .candidates = given(p, {0, 0, 15, 15}),
              .matched = given<int32_t>(p, {0}),
              .rows = given<int32_t>(p, {0}),
              .gt = given(p, {0, 8, 31, 23}),
              .gt_labels = given<int32_t>(p, {3}),
              .weights = {1, 2, 1, 1},
              .rois = poisoned<float>(p, 4),
              .labels = poisoned<int32_t>(p, 1),
              .deltas = poisoned<float>(p, 4),
              .plus_one = 1};
    return p;
  };
  each_result(select_rois, make, [](const auto& outputs) {
    CHECK(ints(outputs[1]) == std::vector<int32_t>{3});
    CHECK(floats(outputs[0]) == std::vector<float>{0, 0, 15, 15});
    CHECK(floats(outputs[2]) == std::vector<float>{0.5f, 1, static_cast<float>(std::log(2.0)), 0});
  });
}

}  // namespace rcnn::kernels
