#include "kernels/boxes/anchors_cases.h"
#include "tests/kernels/each_variant.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

VERIFY_OP(anchors)

TEST_CASE("cell_anchors: torchvision's values, ratio by ratio") {
  const float size[] = {32}, ratios[] = {0.5f, 1, 2};
  CHECK(cell_anchors(size, ratios) ==
        std::vector<float>{-23, -11, 23, 11, -16, -16, 16, 16, -11, -23, 11, 23});
  const float sizes[] = {16, 64}, two[] = {1, 2};
  CHECK(cell_anchors(sizes, two) ==
        std::vector<float>{-8, -8, 8, 8, -32, -32, 32, 32, -6, -11, 6, 11, -23, -45, 23, 45});
  CHECK(cell_anchors({}, ratios).empty());
}

TEST_CASE("cell_anchors: halves round to even") {
  const float sizes[] = {3, 5, 7}, square[] = {1};  // half sides 1.5, 2.5, 3.5
  CHECK(cell_anchors(sizes, square) == std::vector<float>{-2, -2, 2, 2, -2, -2, 2, 2, -4, -4, 4, 4});
}

TEST_CASE("caffe2015_cell_anchors: the nine anchors of py-faster-rcnn") {
  // As the paper's Matlab code prints them, which counts pixels from 1; py-faster-rcnn counts from 0.
  std::vector<float> expected = {-83, -39, 100, 56, -175, -87,  192, 104, -359, -183, 376, 200,
                                 -55, -55, 72,  72, -119, -119, 136, 136, -247, -247, 264, 264,
                                 -35, -79, 52,  96, -79,  -167, 96,  184, -167, -343, 184, 360};
  for (float& corner : expected) corner -= 1;
  const float sizes[] = {128, 256, 512}, ratios[] = {0.5f, 1, 2};
  CHECK(caffe2015_cell_anchors(sizes, ratios) == expected);
  CHECK(caffe2015_cell_anchors({}, ratios).empty());
  CHECK(caffe2015_cell_anchors(sizes, {}).empty());
}

TEST_CASE("caffe2015_cell_anchors: halves round to even, and sizes need not be multiples of 16") {
  // The width is 20.2 rounded, the height 20 x 0.625 = 12.5 rounded: 20 x 12 around (7.5, 7.5).
  const float size[] = {16, 8}, ratio[] = {0.625f};
  CHECK(caffe2015_cell_anchors(size, ratio) == std::vector<float>{-2, 2, 17, 13, 3, 5, 12, 10});
}

TEST_CASE("anchors: order (level, y, x, a), and strides of each axis") {
  const float cells[] = {-1, -2, 1, 2, -3, -4, 3, 4, -8, -8, 8, 8};
  float out[(2 * 2 * 2 + 1) * 4];
  const AnchorsArgs args{.levels = 2,
                         .h = {2, 1},
                         .w = {2, 1},
                         .stride_y = {10, 32},
                         .stride_x = {100, 32},
                         .cell_anchors = {2, 1},
                         .cells = cells,
                         .anchors = out};
  each_variant(anchors, args, [&] {
    const std::vector<float> expected = {
        -1, -2, 1,   2,  -3, -4, 3,   4,   // y 0, x 0
        99, -2, 101, 2,  97, -4, 103, 4,   // y 0, x 1
        -1, 8,  1,   12, -3, 6,  3,   14,  // y 1, x 0
        99, 8,  101, 12, 97, 6,  103, 14,  // y 1, x 1
        -8, -8, 8,   8,                    // the second level
    };
    CHECK(std::vector<float>(std::begin(out), std::end(out)) == expected);
  });
}

}  // namespace rcnn::kernels
