#include "kernels/boxes/gather_boxes_cases.h"
#include "tests/kernels/hand_worked.h"

namespace rcnn::kernels {

VERIFY_OP(gather_boxes)

TEST_CASE("gather_boxes: kept rows come first and in order, then the extra rows, then zeros") {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> boxes = {0, 0, 1, 1, 2, 2, 3, 3, 4,    4,    5,    5,      // image 0
                                    6, 6, 7, 7, 8, 8, 9, 9, kNaN, kNaN, kNaN, kNaN};  // image 1
  const std::vector<float> extra = {10, 10, 11, 11, kNaN, kNaN, kNaN, kNaN, 20, 20, 21, 21, 22, 22, 23, 23};
  const auto make = [&] {
    Prepared<GatherBoxesArgs> p;
    p.args = {.n = 2,
              .m = 3,
              .k = 2,
              .boxes = given(p, boxes),
              .scores = given(p, {0.25f, 0.5f, 0.75f, 1.5f, 2.5f, kNaN}),
              .labels = given<int32_t>(p, {1, 2, 3, 4, 5, 6}),
              .keep = given<int32_t>(p, {2, 0, -1, -1}),
              .extra = 2,
              .extra_boxes = given(p, extra),
              .extra_count = given<int32_t>(p, {1, 2}),
              .out_boxes = poisoned<float>(p, 2 * 4 * 4),
              .out_scores = poisoned<float>(p, 8),
              .out_labels = poisoned<int32_t>(p, 8),
              .out_count = poisoned<int32_t>(p, 2)};
    return p;
  };
  each_result(gather_boxes, make, [](const auto& outputs) {
    CHECK(floats(outputs[0]) ==
          std::vector<float>{4,  4,  5,  5,  0,  0,  1,  1,  10, 10, 11, 11, 0, 0, 0, 0,  //
                             20, 20, 21, 21, 22, 22, 23, 23, 0,  0,  0,  0,  0, 0, 0, 0});
    CHECK(floats(outputs[1]) == std::vector<float>{0.75f, 0.25f, 0, 0, 0, 0, 0, 0});
    CHECK(ints(outputs[2]) == std::vector<int32_t>{3, 1, -1, -1, -1, -1, -1, -1});
    CHECK(ints(outputs[3]) == std::vector<int32_t>{3, 2});
  });

  // Without ground truth its capacity is padding.
  const auto without_extra = [&] {
    auto p = make();
    p.args.extra_boxes = nullptr;
    p.args.extra_count = nullptr;
    return p;
  };
  each_result(gather_boxes, without_extra, [](const auto& outputs) {
    CHECK(ints(outputs[3]) == std::vector<int32_t>{2, 0});
    const std::vector<float> gathered = floats(outputs[0]);
    CHECK(std::all_of(gathered.begin() + 8, gathered.end(), [](float v) { return v == 0; }));
  });
}

}  // namespace rcnn::kernels
