#include "kernels/boxes/gather_boxes_cases.h"
#include "tests/kernels/each_variant.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

VERIFY_OP(gather_boxes)

TEST_CASE("gather_boxes: kept rows in order, the extra ones right behind, then zeros") {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  const float boxes[] = {0, 0, 1, 1, 2, 2, 3, 3, 4,    4,    5,    5,      // image 0
                         6, 6, 7, 7, 8, 8, 9, 9, kNaN, kNaN, kNaN, kNaN};  // image 1
  const float scores[] = {0.25f, 0.5f, 0.75f, 1.5f, 2.5f, kNaN};
  const int32_t labels[] = {1, 2, 3, 4, 5, 6};
  const int32_t keep[] = {2, 0, -1, -1};
  const float extra[] = {10, 10, 11, 11, kNaN, kNaN, kNaN, kNaN, 20, 20, 21, 21, 22, 22, 23, 23};
  const int32_t extra_count[] = {1, 2};
  float out_boxes[2 * 4 * 4], out_scores[8];
  int32_t out_labels[8], out_count[2];
  GatherBoxesArgs args{.n = 2,
                       .m = 3,
                       .k = 2,
                       .boxes = boxes,
                       .scores = scores,
                       .labels = labels,
                       .keep = keep,
                       .extra = 2,
                       .extra_boxes = extra,
                       .extra_count = extra_count,
                       .out_boxes = out_boxes,
                       .out_scores = out_scores,
                       .out_labels = out_labels,
                       .out_count = out_count};
  each_variant(gather_boxes, args, [&] {
    CHECK(std::vector<float>(out_boxes, out_boxes + 32) ==
          std::vector<float>{4,  4,  5,  5,  0,  0,  1,  1,  10, 10, 11, 11, 0, 0, 0, 0,  //
                             20, 20, 21, 21, 22, 22, 23, 23, 0,  0,  0,  0,  0, 0, 0, 0});
    CHECK(std::vector<float>(out_scores, out_scores + 8) ==
          std::vector<float>{0.75f, 0.25f, 0, 0, 0, 0, 0, 0});
    CHECK(std::vector<int32_t>(out_labels, out_labels + 8) ==
          std::vector<int32_t>{3, 1, -1, -1, -1, -1, -1, -1});
    CHECK(out_count[0] == 3);
    CHECK(out_count[1] == 2);
  });

  // Without ground truth its capacity is padding.
  args.extra_boxes = nullptr;
  args.extra_count = nullptr;
  each_variant(gather_boxes, args, [&] {
    CHECK(out_count[0] == 2);
    CHECK(out_count[1] == 0);
    CHECK(std::all_of(out_boxes + 8, out_boxes + 32, [](float v) { return v == 0; }));
  });
}

}  // namespace rcnn::kernels
