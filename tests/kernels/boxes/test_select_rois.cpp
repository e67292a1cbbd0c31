#include "kernels/boxes/select_rois_cases.h"
#include "tests/kernels/each_variant.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

VERIFY_OP(select_rois)

TEST_CASE("select_rois: foreground, background and padding") {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  const float candidates[] = {0,    0,    4,    2,    5, 5, 6, 6, kNaN, kNaN, kNaN, kNaN,   // image 0
                              kNaN, kNaN, kNaN, kNaN, 0, 0, 2, 2, kNaN, kNaN, kNaN, kNaN};  // image 1
  const int32_t matched[] = {1, -1, -2, -2, 0, -2};
  const int32_t rows[] = {0, 1, -1, 1, -1, -1};
  const float gt[] = {kNaN, kNaN, kNaN, kNaN, 2,    0,    6,    2,      // image 0
                      1,    0,    3,    2,    kNaN, kNaN, kNaN, kNaN};  // image 1
  const int32_t gt_labels[] = {9, 3, 5, 9};
  float rois[6 * 4], targets[6 * 4];
  int32_t labels[6];
  const SelectRoisArgs args{.n = 2,
                            .r = 3,
                            .g = 2,
                            .s = 3,
                            .candidates = candidates,
                            .matched = matched,
                            .rows = rows,
                            .gt = gt,
                            .gt_labels = gt_labels,
                            .weights = {10, 10, 5, 5},
                            .rois = rois,
                            .labels = labels,
                            .targets = targets};
  each_variant(select_rois, args, [&] {
    CHECK(std::vector<int32_t>(labels, labels + 6) == std::vector<int32_t>{3, 0, -1, 5, -1, -1});
    CHECK(std::vector<float>(rois, rois + 24) == std::vector<float>{0, 0, 4, 2, 5, 5, 6, 6, 0, 0, 0, 0,  //
                                                                    0, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0});
    CHECK(std::vector<float>(targets, targets + 24) ==
          std::vector<float>{5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  //
                             5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  });
}

TEST_CASE("select_rois: boxes whose corners are whole pixels keep them") {
  const float candidates[] = {0, 0, 15, 15}, gt[] = {0, 8, 31, 23};
  const int32_t matched[] = {0}, rows[] = {0}, gt_labels[] = {3};
  float rois[4], targets[4];
  int32_t labels[1];
  const SelectRoisArgs args{.n = 1,
                            .r = 1,
                            .g = 1,
                            .s = 1,
                            .candidates = candidates,
                            .matched = matched,
                            .rows = rows,
                            .gt = gt,
                            .gt_labels = gt_labels,
                            .weights = {1, 2, 1, 1},
                            .rois = rois,
                            .labels = labels,
                            .targets = targets,
                            .plus_one = 1};
  each_variant(select_rois, args, [&] {
    CHECK(labels[0] == 3);
    CHECK(std::vector<float>(rois, rois + 4) == std::vector<float>{0, 0, 15, 15});
    CHECK(std::vector<float>(targets, targets + 4) ==
          std::vector<float>{0.5f, 1, static_cast<float>(std::log(2.0)), 0});
  });
}

}  // namespace rcnn::kernels
