#include "kernels/elementwise/sum_cases.h"
#include "tests/kernels/hand_worked.h"

namespace rcnn::kernels {

VERIFY_OP(weighted_sum)
VERIFY_OP(weighted_sum_backward)

TEST_CASE("weighted_sum: an example worked out by hand") {
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
