#include "kernels/elementwise/sum_cases.h"
#include "tests/kernels/hand_worked.h"

namespace rcnn::kernels {

VERIFY_OP(weighted_sum)
VERIFY_OP(weighted_sum_backward)
VERIFY_OP(add)

TEST_CASE("add: operands that do not start at a multiple of 16 bytes") {
  const auto make = [] {
    Prepared<AddArgs<float>> p;
    p.args = {.size = 4,
              .a = given(p, {9, 1, 2, 3, 4}) + 1,
              .b = given(p, {9, 9, 10, 20, 30, 40}) + 2,
              .y = result(p, std::vector<float>(5)) + 1};
    return p;
  };
  hand_worked(add, make, [](const auto& outputs) {
    CHECK(outputs[0] == std::vector<float>{0, 11, 22, 33, 44});
  });
}

TEST_CASE("weighted_sum: by hand") {
  const float a = 3, b = 5, dy = 2;
  float y = 0, da = 1, db = 1;
  Context ctx;
  run(ctx, weighted_sum,
      WeightedSumArgs<float>{.terms = 2, .values = {&a, &b}, .weights = {2, -0.5}, .y = &y});
  CHECK(y == 3.5f);
  run(ctx, weighted_sum_backward,
      WeightedSumBackwardArgs<float>{.terms = 2,
                                     .weights = {2, -0.5},
                                     .dy = &dy,
                                     .dvalues = {&da, &db},
                                     .accumulate = {Accumulate::no, Accumulate::yes}});
  CHECK(da == 4);
  CHECK(db == 0);
}

}  // namespace rcnn::kernels
