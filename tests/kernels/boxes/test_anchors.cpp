#include "kernels/boxes/anchors_cases.h"
#include "tests/kernels/hand_worked.h"

namespace rcnn::kernels {

VERIFY_OP(anchors)

TEST_CASE("anchors: the order is (level, y, x, a), and each axis has its own stride") {
  const auto make = [] {
    Prepared<AnchorsArgs> p;
    p.args = {.levels = 2,
              .h = {2, 1},
              .w = {2, 1},
              .stride_y = {10, 32},
              .stride_x = {100, 32},
              .cell_anchors = {2, 1},
              .cells = given(p, {-1, -2, 1, 2, -3, -4, 3, 4, -8, -8, 8, 8}),
              .anchors = poisoned<float>(p, (2 * 2 * 2 + 1) * 4)};
    return p;
  };
  hand_worked(anchors, make, [](const auto& outputs) {
    const std::vector<float> expected = {
        -1, -2, 1,   2,  -3, -4, 3,   4,   // y 0, x 0
        99, -2, 101, 2,  97, -4, 103, 4,   // y 0, x 1
        -1, 8,  1,   12, -3, 6,  3,   14,  // y 1, x 0
        99, 8,  101, 12, 97, 6,  103, 14,  // y 1, x 1
        -8, -8, 8,   8,                    // the second level
    };
    CHECK(outputs[0] == expected);
  });
}

}  // namespace rcnn::kernels
